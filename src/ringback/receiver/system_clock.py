"""The real clock and real randomness; nothing else in the receiver asks the machine for either."""

import secrets
from datetime import UTC, datetime


def now() -> datetime:
    """Return the present instant, in UTC."""
    return datetime.now(UTC)


def random_hex() -> str:
    """Return 32 hexadecimal digits that nobody can foresee."""
    return secrets.token_hex(16)
