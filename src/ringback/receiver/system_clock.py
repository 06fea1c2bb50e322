"""The real clock and random source; all of `receiver` gets the time and random values here."""

import secrets
from datetime import UTC, datetime


def now() -> datetime:
    """Return the current time, in UTC."""
    return datetime.now(UTC)


def random_hex() -> str:
    """Return 32 unpredictable random hexadecimal digits."""
    return secrets.token_hex(16)
