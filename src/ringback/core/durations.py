"""Durations as people write them on a command line or in a settings file."""

import re
from datetime import timedelta
from typing import Final

_FORM: Final = re.compile(r"(?P<count>[0-9]{1,9}(\.[0-9]{1,6})?)(?P<unit>ms|s|m|h|d)?")
_LONGEST: Final = timedelta(days=3650)
_SECONDS: Final = {"ms": 0.001, "s": 1, None: 1, "m": 60, "h": 3600, "d": 86400}


def read_duration(text: str) -> timedelta:
    """Return the duration that `500ms`, `3s`, `1.5m`, `2h`, `3d` or a plain number of seconds says.

    Raises ValueError for anything else, and for more than ten years.

    >>> read_duration("1.5m")
    datetime.timedelta(seconds=90)
    """
    match = _FORM.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no duration; write it like 500ms, 3s, 5m, 2h or 1d")
    duration = timedelta(seconds=float(match["count"]) * _SECONDS[match["unit"]])
    if duration > _LONGEST:
        raise ValueError(f"{text!r} is too long; {_LONGEST.days}d is the most")
    return duration
