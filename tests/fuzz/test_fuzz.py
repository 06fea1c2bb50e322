"""A short run of `make fuzz`, and a check that it reaches every part."""

from dataclasses import replace

import pytest

from ringback.receiver import Reason
from tests.fuzz import parts
from tests.fuzz.mutations import MUTATIONS
from tests.fuzz.parts import PARTS, Part
from tests.fuzz.runner import Chunk, chunks_of, run


@pytest.mark.parametrize("part", [name for name in PARTS if name != "mutated"])
def test_the_receiver_answers_every_input_as_documented(part: str) -> None:
    outcome = run(Chunk(part, seed=1, inputs=150))
    assert outcome.failure is None
    assert outcome.inputs == outcome.counted.total() == 150
    assert len(outcome.counted) > 1


def test_mutated_requests_are_accepted_only_if_signed_and_every_reason_occurs() -> None:
    outcome = run(Chunk("mutated", seed=1, inputs=2500))
    assert outcome.failure is None
    missing = {"Accepted", *Reason, *(mutation.__name__ for mutation in MUTATIONS)}
    # Only an adapter has the first reason, and only a receiver that is stricter the second.
    missing -= {Reason.NO_REQUEST, Reason.UNKNOWN_NAMES}
    assert missing - set(outcome.counted) == set()


def test_a_receiver_that_accepts_a_forgery_is_found_with_the_input(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ringback.receiver.verification.verify._not_as_sent", lambda *_: None)
    outcome = run(Chunk("mutated", seed=1, inputs=2000))
    assert outcome.failure is not None
    told, again = outcome.failure.rsplit("\n", 1)
    assert "accepted; FORGED by" in told
    with pytest.raises(AssertionError, match="accepted; FORGED by"):
        exec(again.strip(), {})  # noqa: S102 (it checks that the shown input runs)


def test_other_errors_of_the_receiver_are_found_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def law(_: object) -> parts.Counted:
        raise ZeroDivisionError

    part: Part = replace(PARTS["dates"], law=law)
    monkeypatch.setitem(PARTS, "dates", part)
    outcome = run(Chunk("dates", seed=1, inputs=5))
    assert str(outcome.failure).startswith("ZeroDivisionError")
    assert outcome.inputs == 0


def test_the_inputs_are_divided_among_the_parts_each_chunk_with_its_own_seed() -> None:
    chunks = chunks_of(10_000, first_seed=7)
    assert sum(chunk.inputs for chunk in chunks) == 10_000
    assert {chunk.part for chunk in chunks} == set(PARTS)
    assert sorted(chunk.seed for chunk in chunks) == list(range(7, 7 + len(chunks)))
