"""Which test events are the last rehearsal of a secret, and what they say."""

from typing import Any

from ringback.console.rehearsals import last_rehearsal
from ringback.core.callbacks.callback import FORGED

SECRET, OTHER = "whs_01jf8c4889ehtbzt0n9mzk1prc", "whs_01jf8ym6000000000000000000"
EARLIER, LATER = "2026-11-27T04:00:00Z", "2026-11-27T05:00:00Z"


def event(
    sid: str,
    url: str,
    secret_id: str | None,
    *,
    began: str = LATER,
    status: int | None = 200,
    method: str = "POST",
) -> dict[str, Any]:
    """A listed test event; without `status`, it is still being sent."""
    accepted = status is not None and status < 300
    ended = "delivered" if accepted else "failed"
    attempt = {
        "result": "delivered" if accepted else "refused",
        "status_code": status,
        "failure": None,
        "reason": f"the receiver answered {status}",
    }
    return {
        "sid": sid,
        "url": url,
        "method": method,
        "secret_id": secret_id,
        "date_created": began,
        "status": "scheduled" if status is None else ended,
        "waits_because": None,
        "last_attempt": None if status is None else attempt,
    }


def test_the_newest_rehearsal_of_this_secret_counts() -> None:
    tests = [
        event("CB9", "http://tried.example/", None),
        event("CB8", "http://b.example/", FORGED, status=403),
        event("CB7", "http://a.example/", FORGED, status=200),
        event("CB6", "http://b.example/", SECRET),
        event("CB5", "http://a.example/", SECRET),
        event("CB4", "http://old.example/", SECRET, began=EARLIER),
        event("CB3", "http://a.example/", OTHER, began=EARLIER),
    ]
    found = last_rehearsal(tests, SECRET)
    assert found is not None
    assert (found.began, found.is_over, found.ready) == (LATER, True, 1)
    pairs = [(one.event["sid"], one.forgery["sid"]) for one in found.answers]
    assert pairs == [("CB5", "CB7"), ("CB6", "CB8")]
    assert found.not_ready == ["http://a.example/"], "it accepts a forgery"


def test_it_is_over_when_the_last_answer_came() -> None:
    genuine = event("CB1", "http://a.example/", SECRET)
    begun = last_rehearsal(
        [event("CB2", "http://a.example/", FORGED, status=None), genuine], SECRET
    )
    assert begun is not None
    assert (begun.is_over, begun.ready, begun.answers[0].judged) == (False, 0, None)
    assert begun.not_ready == ["http://a.example/"]
    ended = last_rehearsal([event("CB2", "http://a.example/", FORGED, status=403), genuine], SECRET)
    assert ended is not None
    assert (ended.is_over, ended.ready) == (True, 1)


def test_one_url_that_gets_events_by_two_methods_is_two_receivers() -> None:
    tests = [
        event("CB4", "http://a.example/", FORGED, status=403),
        event("CB3", "http://a.example/", FORGED, status=200, method="GET"),
        event("CB2", "http://a.example/", SECRET),
        event("CB1", "http://a.example/", SECRET, method="GET"),
    ]
    found = last_rehearsal(tests, SECRET)
    assert found is not None
    assert [(one.event["method"], one.forgery["sid"]) for one in found.answers] == [
        ("GET", "CB3"),
        ("POST", "CB4"),
    ]


def test_a_secret_that_was_never_tried_has_no_rehearsal() -> None:
    assert last_rehearsal([event("CB1", "http://a.example/", OTHER)], SECRET) is None


def test_a_rehearsal_without_forgeries_proves_nothing() -> None:
    assert last_rehearsal([event("CB1", "http://a.example/", SECRET)], SECRET) is None
