"""The figures of a soak: which fault a wait is charged to, and which waits count."""

from dataclasses import replace

import pytest

from tests.crash.test_evidence import ANSWERED, ASKED, RECORD, WELL
from tests.crash.waits import Fault, Span, end_to_end, longest, silences, table, to_first_requests

FAULTS = (
    Fault("connections cut", 100),
    Fault("kills", 110, "worker 1"),
    Fault("connections cut", 112),
    Fault("kills", 118, "api 2"),
    Fault("freezes", 200, "worker 3", seconds=5),
    Fault("freezes", 300, "worker 3", seconds=14),
)


@pytest.mark.parametrize(
    ("span", "cause"),
    [
        (Span(20, 90), "none lately"),
        (Span(99, 101), "connections cut"),
        (Span(99, 120), "kills"),
        (Span(113, 114), "kills"),
        (Span(121, 122), "connections cut"),
        # What happens to an API process delays nothing that it has accepted.
        (Span(123, 128), "none lately"),
        (Span(214, 215), "freezes"),
        (Span(216, 217), "none lately"),
        # The lease ends, then the longest request; the others find that a little later.
        (Span(335, 336), "freezes"),
        (Span(337, 338), "none lately"),
    ],
)
def test_a_wait_is_charged_to_the_gravest_fault_near_it(span: Span, cause: str) -> None:
    assert span.cause(FAULTS) == cause


def test_the_longest_wait_of_each_kind_is_found() -> None:
    spans = [Span(99, 101), Span(99, 104), Span(111, 120), Span(113, 113.005)]
    assert longest(spans, FAULTS) == {"connections cut": 5, "kills": 9}


def test_times_without_a_worker_can_be_left_out() -> None:
    nobody = [Span(90, 100), Span(102, 103), Span(112, 114)]
    assert Span(99, 104).seconds_outside(nobody) == 3
    assert Span(102.5, 102.75).seconds_outside(nobody) == 0
    assert longest([Span(111, 120), Span(113, 119)], FAULTS, nobody) == {"kills": 7}


def test_a_wait_begins_when_the_client_has_the_answer() -> None:
    record = replace(RECORD, created_us=10_000_000)
    evidence = replace(WELL, records=[record], arrivals=[ANSWERED._replace(at=30)])
    assert to_first_requests(replace(evidence, answered_at={"k1": 28})) == [Span(28, 30)]
    # The answer may come after the request.
    assert to_first_requests(replace(evidence, answered_at={"k1": 31})) == [Span(30, 30)]
    asked = replace(evidence, asked={"k1": ASKED._replace(at=5)})
    assert end_to_end(asked) == [25]


def test_a_wait_ends_with_the_first_request_of_what_was_due_at_once() -> None:
    record = replace(RECORD, created_us=10_000_000)
    arrivals = [ANSWERED._replace(at=13), ANSWERED._replace(at=12), ANSWERED._replace(at=20)]
    evidence = replace(WELL, records=[record], arrivals=arrivals)
    assert to_first_requests(evidence) == [Span(10, 12)]
    assert silences(evidence, until=13) == [Span(12, 13)]
    assert "1 callbacks: p50 2.000 s, p95 2.000 s, longest 2.00 s" in table(evidence, [])
    held = replace(evidence, asked={"k1": ASKED._replace(is_due_at_once=False)})
    assert to_first_requests(held) == []
