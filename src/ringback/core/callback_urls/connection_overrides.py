"""Connection overrides: the timeouts and retries that a callback URL's fragment can set.

The keys and limits are those of Twilio's webhook connection overrides. Times are in milliseconds.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from functools import cached_property
from typing import Final, NamedTuple

from ringback.core.errors import InvalidCallbackUrl
from ringback.core.policy.source_policy import Source, SourceName


class RetryOn(StrEnum):
    """The kinds of failures that a round of attempts can retry (`rp` in a URL's fragment)."""

    CLIENT_ERROR = "4xx"
    SERVER_ERROR = "5xx"
    CONNECT = "ct"
    READ = "rt"
    ALL = "all"
    # KORE's default includes these two statuses, which a URL can't name.
    REQUEST_TIMEOUT = "408"
    LOCKED = "423"


SETTABLE: Final = (
    RetryOn.CLIENT_ERROR,
    RetryOn.SERVER_ERROR,
    RetryOn.CONNECT,
    RetryOn.READ,
    RetryOn.ALL,
)

_AS_KORE: Final = frozenset(
    {RetryOn.CONNECT, RetryOn.REQUEST_TIMEOUT, RetryOn.LOCKED, RetryOn.SERVER_ERROR}
)


def default_retry_on(source: SourceName) -> frozenset[RetryOn]:
    """Return the failures that a source retries by default.

    Sources that the settings add retry the same failures as KORE's infrastructure.

    >>> default_retry_on(Source.TWILIO)
    frozenset({<RetryOn.CONNECT: 'ct'>})
    """
    return frozenset({RetryOn.CONNECT}) if source == Source.TWILIO else _AS_KORE


# Without slots, so that derived values are cached for the many callbacks that share one object.
@dataclass(frozen=True)
class ConnectionOverrides:
    """The timeouts and retries of one round of attempts; the defaults are those of both vendors."""

    connect_timeout_ms: int = 5000
    read_timeout_ms: int = 15000
    """The longest wait for the answer's first byte, and between any two parts of the answer."""
    total_timeout_ms: int = 15000
    """The time limit for all attempts of the round together."""
    retry_count: int = 1
    """How many retries the round has after its first attempt."""
    retry_on: frozenset[RetryOn] | None = None
    """The failures that are retried; None for the source's default."""
    sni: bool | None = None
    """True if TLS sends the host name (SNI); None for the default, which is to send it."""
    egress: tuple[str, ...] = ()
    """The names of the egress routes that the round's attempts use in turn."""
    attempt_timeout_ms: int | None = None
    """The time limit of each attempt; None if only the total timeout limits it."""

    @cached_property
    def total_timeout(self) -> timedelta:
        """The time limit for all attempts of the round together, as a duration."""
        return timedelta(milliseconds=self.total_timeout_ms)

    @cached_property
    def limits(self) -> "Timeouts":
        """The time limits of a round's first attempt."""
        return limits_of(self, self.total_timeout)

    def retries_on(self, source: SourceName) -> frozenset[RetryOn]:
        """Return the failures that this round retries when sent by this source."""
        return default_retry_on(source) if self.retry_on is None else self.retry_on


class Timeouts(NamedTuple):
    """One attempt's time limits in seconds: to connect, for each wait to read, and in total."""

    connect: float
    read: float
    total: float


def limits_of(connection: ConnectionOverrides, left: timedelta) -> Timeouts:
    """Return an attempt's time limits; `left`, the rest of its round's time, is its total limit.

    >>> limits_of(ConnectionOverrides(), timedelta(seconds=7))
    Timeouts(connect=5.0, read=15.0, total=7.0)
    """
    total, attempt = left.total_seconds(), connection.attempt_timeout_ms
    return Timeouts(
        connection.connect_timeout_ms / 1000,
        connection.read_timeout_ms / 1000,
        total if attempt is None else min(total, attempt / 1000),
    )


def read_override(settings: ConnectionOverrides, key: str, value: str) -> ConnectionOverrides:
    """Return the settings with one `key=value` of a URL's fragment applied.

    `key` must be in OVERRIDES. Raises InvalidCallbackUrl for a value that the key can't have.

    >>> read_override(ConnectionOverrides(), "rc", "3").retry_count
    3
    """
    if key in _NUMBERS:
        name, low, high = _NUMBERS[key]
        return replace(settings, **{name: _whole_number(key, value, low, high)})
    return _READERS[key](settings, value)


def _whole_number(key: str, value: str, low: int, high: int) -> int:
    if value.isascii() and value.isdigit() and len(value) <= 9 and low <= int(value) <= high:
        return int(value)
    raise InvalidCallbackUrl(f"#{key}={value}: {key} must be a whole number from {low} to {high}")


def _retry_policy(settings: ConnectionOverrides, value: str) -> ConnectionOverrides:
    names = value.split(",")
    if not set(names) <= set(SETTABLE):
        known = ", ".join(SETTABLE)
        raise InvalidCallbackUrl(f"#rp={value}: rp must be a comma list of {known}")
    return replace(settings, retry_on=frozenset(RetryOn(name) for name in names))


def _sni(settings: ConnectionOverrides, value: str) -> ConnectionOverrides:
    if value not in ("y", "n"):
        raise InvalidCallbackUrl(f"#sni={value}: sni must be y or n")
    return replace(settings, sni=value == "y")


def _egress(settings: ConnectionOverrides, value: str) -> ConnectionOverrides:
    names = tuple(value.split(","))
    if not all(name and name.replace("-", "").isalnum() for name in names):
        raise InvalidCallbackUrl(
            f"#e={value}: e must be the name of an egress, or several names separated by commas"
        )
    return replace(settings, egress=names)


_NUMBERS: Final = {
    "ct": ("connect_timeout_ms", 100, 10000),
    "rt": ("read_timeout_ms", 100, 15000),
    "tt": ("total_timeout_ms", 100, 15000),
    "rc": ("retry_count", 0, 5),
}
"""The overrides that are numbers: for each key the field it sets, its minimum and its maximum."""
_READERS: Final[Mapping[str, Callable[[ConnectionOverrides, str], ConnectionOverrides]]] = {
    "rp": _retry_policy,
    "sni": _sni,
    "e": _egress,
}
OVERRIDES: Final = (*_NUMBERS, *_READERS)
"""All keys in a URL's fragment that override timeouts, retries or other connection settings."""
