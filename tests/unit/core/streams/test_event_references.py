from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.core.policy.source_policy import Source
from ringback.core.streams.event_references import (
    EventReference,
    body_of_references,
    read_references,
    write_references,
)
from ringback.core.streams.event_types import StreamEventType
from ringback.core.streams.stream_event import StreamEvent, write_event
from tests.unit.core.streams.vectors import event

EVENTS = {n: event(type_) for n, type_ in enumerate(StreamEventType, 1_000_000_000_000_000)}


def lookup(numbers: Sequence[int]) -> list[StreamEvent]:
    return [EVENTS[number] for number in numbers]


@given(
    st.lists(
        st.builds(
            EventReference, st.integers(0, 2**63 - 1), st.sampled_from([1, 2]), st.booleans()
        ),
        min_size=1,
    ),
    st.booleans(),
)
def test_what_is_written_is_read(references: list[EventReference], is_array: bool) -> None:
    text = write_references(references, is_array=is_array)
    assert read_references(text) == references
    assert text.startswith("[" if is_array else "{")
    assert text.isascii()


def test_events_that_were_made_together_take_little_room() -> None:
    numbers = range(7_000_000_000_000_000_000, 7_000_000_000_000_000_050)
    assert len(write_references([EventReference(number, 2) for number in numbers])) < 120


@pytest.mark.parametrize("source", Source)
def test_the_body_has_the_events_in_their_order_and_versions(source: Source) -> None:
    first, second = list(EVENTS)[4], next(iter(EVENTS))
    text = write_references([EventReference(first, 1), EventReference(second, 2)])
    body = body_of_references(text, source, lookup)
    one, other = EVENTS[first], EVENTS[second]
    assert body == f"[{write_event(source, one, 1)},{write_event(source, other, 2)}]"


def test_a_single_event_is_an_object_with_kores_prefix_if_it_was_asked_for() -> None:
    number = next(iter(EVENTS))
    text = write_references([EventReference(number, 2, has_kore_prefix=True)], is_array=False)
    body = body_of_references(text, Source.KORE, lookup)
    assert body == write_event(Source.KORE, EVENTS[number], 2, has_kore_prefix=True)
    assert '"type":"com.kore.' in body
