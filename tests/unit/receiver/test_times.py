"""The times that a receiver is configured with."""

from datetime import timedelta
from typing import Any

import pytest

from ringback.receiver import Accepted, ConfigurationError, MemoryDedupe, Receiver
from ringback.receiver.verification import Reason, Rejected

CENTURY = timedelta(days=36_500)
TIMES = ["max_age", "lease", "keep", "same_event_within"]


def receiver(**times: Any) -> Receiver:
    return Receiver("https://a.example/", accept_unsigned_kore=True, seen=MemoryDedupe(), **times)


@pytest.mark.parametrize("name", TIMES)
@pytest.mark.parametrize("time", [timedelta.max, CENTURY + timedelta(1)])
def test_a_time_beyond_the_calendar_is_refused_at_once(name: str, time: timedelta) -> None:
    with pytest.raises(ConfigurationError, match=f"{name}.* must be at most 36500 days"):
        receiver(**{name: time})


def test_a_century_is_no_problem() -> None:
    headers = [("Kore-Signature", ""), ("Kore-Idempotency-Token", "RQ" + "0" * 32)]
    times = {name: CENTURY for name in TIMES if name != "max_age"}
    assert isinstance(receiver(**times).receive("POST", headers), Accepted)
    aged = receiver(max_age=CENTURY).check("POST", [*headers, ("Date", "0001-01-01T00:00:00Z")])
    assert isinstance(aged, Rejected)
    assert aged.reason is Reason.STALE
