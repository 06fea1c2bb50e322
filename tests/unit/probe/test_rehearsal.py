"""How the answers to a genuine test event and to a forged one are judged."""

from typing import Any

import pytest

from ringback.probe.rehearsal import RehearsedReceiver, judge_rehearsal

EVENT = {"method": "POST", "url": "https://a.example/hook"}


def answered(status: int) -> dict[str, Any]:
    result = "delivered" if 200 <= status < 300 else "refused"
    reason = f"the receiver answered {status}"
    return {"result": result, "status_code": status, "failure": None, "reason": reason}


SILENCE: dict[str, Any] = {
    "result": "unreachable",
    "status_code": None,
    "failure": "connect",
    "reason": "could not connect",
}


def test_a_receiver_that_accepts_the_secret_and_refuses_a_forgery_is_ready() -> None:
    found = judge_rehearsal(EVENT, answered(204), answered(403))
    assert found == RehearsedReceiver(
        method="POST",
        url="https://a.example/hook",
        result="delivered",
        status_code=204,
        failure=None,
        accepted=True,
        accepts_forgeries=False,
        problem=None,
    )
    assert (found.verdict, found.more) == ("accepted", "")


@pytest.mark.parametrize(
    ("genuine", "forged", "verdict", "more"),
    [
        (answered(200), answered(200), "accepts all", "a forged test event too"),
        (answered(403), answered(200), "accepts all", "a forged test event too"),
        (
            answered(200),
            answered(500),
            "not ready",
            "does not refuse a request signed with another",
        ),
        (answered(200), SILENCE, "not ready", "could not connect"),
        (answered(403), answered(403), "refused 403", ""),
        (SILENCE, SILENCE, "unreachable", "connect"),
        (None, None, "no answer", ""),
        (answered(200), None, "not ready", "no answer came within 20 s"),
    ],
)
def test_every_other_receiver_has_a_problem(
    genuine: dict[str, Any] | None, forged: dict[str, Any] | None, verdict: str, more: str
) -> None:
    found = judge_rehearsal(EVENT, genuine, forged)
    assert found.problem is not None
    assert found.verdict == verdict
    assert more in found.more
    assert bool(found.more) is bool(more)
