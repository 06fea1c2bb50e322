"""The figures of a soak: which fault a wait is charged to, and which waits count."""

from dataclasses import replace

import pytest

from tests.crash.test_evidence import ANSWERED, ASKED, RECORD, WELL
from tests.crash.waits import Fault, Span, longest, silences, table, to_first_requests

FAULTS = (Fault("connections cut", 100), Fault("kills", 110), Fault("connections cut", 112))


@pytest.mark.parametrize(
    ("span", "cause"),
    [
        (Span(20, 90), "none lately"),
        (Span(99, 101), "connections cut"),
        (Span(99, 120), "kills"),
        (Span(113, 114), "kills"),
        (Span(127, 128), "connections cut"),
        (Span(150, 151), "none lately"),
    ],
)
def test_a_wait_is_charged_to_the_gravest_fault_near_it(span: Span, cause: str) -> None:
    assert span.cause(FAULTS) == cause


def test_the_longest_wait_of_each_kind_is_found() -> None:
    spans = [Span(99, 101), Span(99, 104), Span(111, 120), Span(113, 113.005)]
    assert longest(spans, FAULTS) == {"connections cut": 5, "kills": 9}


def test_a_wait_ends_with_the_first_request_of_what_was_due_at_once() -> None:
    record = replace(RECORD, created_us=10_000_000)
    arrivals = [ANSWERED._replace(at=13), ANSWERED._replace(at=12), ANSWERED._replace(at=20)]
    evidence = replace(WELL, records=[record], arrivals=arrivals)
    assert to_first_requests(evidence) == [Span(10, 12)]
    assert silences(evidence, until=13) == [Span(12, 13)]
    assert "1 callbacks: p50 2.000 s, p95 2.000 s, longest 2.00 s" in table(evidence, [])
    held = replace(evidence, asked={"k1": ASKED._replace(is_due_at_once=False)})
    assert to_first_requests(held) == []
