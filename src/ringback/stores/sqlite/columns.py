"""How values of the core stand in columns, and back."""

from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def to_us(instant: datetime) -> int:
    """Return an instant as whole microseconds since 1970 (UTC)."""
    return (instant - _EPOCH) // _MICROSECOND


def from_us(count: int) -> datetime:
    """Return the instant that this count of microseconds stands for."""
    return _EPOCH + timedelta(0, 0, count)


def maybe_to_us(instant: datetime | None) -> int | None:
    """Return an instant in microseconds, and None as it is."""
    return None if instant is None else to_us(instant)


def maybe_from_us(count: int | None) -> datetime | None:
    """Return the instant of a count of microseconds, and None as it is."""
    return None if count is None else from_us(count)
