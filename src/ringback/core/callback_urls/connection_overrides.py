"""Connection overrides: what the fragment of a callback URL may say about timeouts and retries.

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
    """What a failed attempt has to be for the round to try again (`rp`)."""

    CLIENT_ERROR = "4xx"
    SERVER_ERROR = "5xx"
    CONNECT = "ct"
    READ = "rt"
    ALL = "all"
    # KORE's own default names two statuses that no value of `rp` can.
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
    """Return what a source tries again where a URL says nothing; a platform's own does as KORE's.

    >>> default_retry_on(Source.TWILIO)
    frozenset({<RetryOn.CONNECT: 'ct'>})
    """
    return frozenset({RetryOn.CONNECT}) if source == Source.TWILIO else _AS_KORE


# Without slots: what is derived is worked out once, for the many callbacks that share it.
@dataclass(frozen=True)
class ConnectionOverrides:
    """How one round of attempts connects, waits and retries; the defaults are both vendors'."""

    connect_timeout_ms: int = 5000
    read_timeout_ms: int = 15000
    """For the first byte of the answer, and between its parts."""
    total_timeout_ms: int = 15000
    """For all attempts of the round together."""
    retry_count: int = 1
    """How often the round tries again after its first attempt."""
    retry_on: frozenset[RetryOn] | None = None
    """What is tried again; None stands for the source's default."""
    sni: bool | None = None
    """Whether TLS says the host's name before it is encrypted; None stands for the default: yes."""
    egress: tuple[str, ...] = ()
    """The names of the ways out that the round's attempts take in turn."""

    @cached_property
    def total_timeout(self) -> timedelta:
        """`total_timeout_ms` as a duration."""
        return timedelta(milliseconds=self.total_timeout_ms)

    @cached_property
    def limits(self) -> "Timeouts":
        """The limits of a round's first attempt."""
        return limits_of(self, self.total_timeout)

    def retries_on(self, source: SourceName) -> frozenset[RetryOn]:
        """Return what this round tries again when sent by this source."""
        return default_retry_on(source) if self.retry_on is None else self.retry_on


class Timeouts(NamedTuple):
    """How long one attempt may take, in seconds: to connect, for each wait to read, and in all."""

    connect: float
    read: float
    total: float


def limits_of(connection: ConnectionOverrides, left: timedelta) -> Timeouts:
    """Return the limits of an attempt that has this much time left in its round.

    >>> limits_of(ConnectionOverrides(), timedelta(seconds=7))
    Timeouts(connect=5.0, read=15.0, total=7.0)
    """
    return Timeouts(
        connection.connect_timeout_ms / 1000,
        connection.read_timeout_ms / 1000,
        left.total_seconds(),
    )


def read_override(settings: ConnectionOverrides, key: str, value: str) -> ConnectionOverrides:
    """Return the settings with one `key=value` of a fragment applied; the key is an override's.

    Raises InvalidCallbackUrl for a value that the key can't have.

    >>> read_override(ConnectionOverrides(), "rc", "3").retry_count
    3
    """
    return _READERS[key](settings, value)


def _whole_number(key: str, value: str, low: int, high: int) -> int:
    if value.isascii() and value.isdigit() and len(value) <= 9 and low <= int(value) <= high:
        return int(value)
    raise InvalidCallbackUrl(f"#{key}={value}: {key} must be a whole number from {low} to {high}")


def _connect_timeout(settings: ConnectionOverrides, value: str) -> ConnectionOverrides:
    return replace(settings, connect_timeout_ms=_whole_number("ct", value, 100, 10000))


def _read_timeout(settings: ConnectionOverrides, value: str) -> ConnectionOverrides:
    return replace(settings, read_timeout_ms=_whole_number("rt", value, 100, 15000))


def _total_timeout(settings: ConnectionOverrides, value: str) -> ConnectionOverrides:
    return replace(settings, total_timeout_ms=_whole_number("tt", value, 100, 15000))


def _retry_count(settings: ConnectionOverrides, value: str) -> ConnectionOverrides:
    return replace(settings, retry_count=_whole_number("rc", value, 0, 5))


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
        raise InvalidCallbackUrl(f"#e={value}: e must be the name of an egress, or a comma list")
    return replace(settings, egress=names)


_READERS: Final[Mapping[str, Callable[[ConnectionOverrides, str], ConnectionOverrides]]] = {
    "ct": _connect_timeout,
    "rt": _read_timeout,
    "tt": _total_timeout,
    "rc": _retry_count,
    "rp": _retry_policy,
    "sni": _sni,
    "e": _egress,
}
OVERRIDES: Final = tuple(_READERS)
"""The keys that a fragment may override a connection with."""
