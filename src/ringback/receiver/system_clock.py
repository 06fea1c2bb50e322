"""The real clock and random source; the rest of `receiver` gets time and randomness from here."""

import secrets
from datetime import UTC, datetime


def now() -> datetime:
    """Return the current time, in UTC."""
    return datetime.now(UTC)


def random_hex() -> str:
    """Return 32 unpredictable random hexadecimal digits."""
    return secrets.token_hex(16)
