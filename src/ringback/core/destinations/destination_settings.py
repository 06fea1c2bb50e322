"""The settings of destinations: the texts that users write for them, and what these mean.

The same table serves the settings file, the API and the command line.
"""

import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final

from ringback.core.calendar import read_duration
from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.errors import InvalidCallbackUrl
from ringback.core.retention import show_time
from ringback.core.retry_schedule import LONGEST_WAIT
from ringback.core.sids import SidKind, is_sid


class DestinationOrder(StrEnum):
    """In which order the callbacks to a destination are sent."""

    NONE = "none"
    """As soon as possible."""
    SIM = "sim"
    """One after the other for each SIM."""


class Bound(StrEnum):
    """What an account may ask for if the operator has set a value as well."""

    LOWER = "lower"
    """The lower value of both is in force."""
    HIGHER = "higher"
    """The higher value of both is in force; `yes` is higher than `no`."""
    OPERATOR = "operator"
    """The operator's value is in force."""
    ACCOUNT = "account"
    """The account's value is in force."""


@dataclass(frozen=True, slots=True)
class DestinationSetting:
    """One setting: how its value is written, and what it means."""

    name: str
    """Its name in the settings file and in JSON; `--name` and `Name` are made from it."""
    read: Callable[[str], Any]
    """Parses its text; raises ValueError for text that is invalid."""
    show: Callable[[Any], str]
    """Returns the text of a value, which `read` parses."""
    metavar: str
    bound: Bound
    help: str
    is_secret: bool = False
    """True if its value is encrypted in the store, and never shown again."""
    is_operators: bool = False
    """True if only the operator can set it."""

    @property
    def parameter(self) -> str:
        """Its name as a parameter of the API, such as `BreakerShare`."""
        return "".join(part.capitalize() for part in self.name.split("_"))

    @property
    def flag(self) -> str:
        """Its flag on the command line, such as `--breaker-share`."""
        return f"--{self.name.replace('_', '-')}"


_OFF: Final = "none"
_HIGHEST_RATE: Final = 100_000
_LOWEST_RATE: Final = 0.01
_YES_OR_NO: Final = {"yes": True, "no": False}
_WINDOW: Final = (timedelta(seconds=10), timedelta(hours=1))
_SHORTEST_DISABLING: Final = timedelta(hours=1)
_NEVER: Final = timedelta.max


def _read_rate(text: str) -> float:
    if text == _OFF:
        return math.inf
    try:
        rate = float(text)
    except ValueError:
        rate = math.nan
    if not _LOWEST_RATE <= rate <= _HIGHEST_RATE:
        raise ValueError(
            f"{text!r} is not a rate; write requests a second, from {_LOWEST_RATE:g} to"
            f" {_HIGHEST_RATE:,}, or {_OFF} for no limit"
        )
    return rate


def _show_rate(rate: float) -> str:
    return _OFF if math.isinf(rate) else repr(rate).removesuffix(".0")


def _whole(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if text.isascii() and text.isdigit() and len(text) <= 9 and least <= int(text) <= most:
            return int(text)
        raise ValueError(f"{text!r} is not valid; write a whole number from {least} to {most:,}")

    return read


def _read_yes_or_no(text: str) -> bool:
    if text in _YES_OR_NO:
        return _YES_OR_NO[text]
    raise ValueError(f"{text!r} is not valid; write yes or no")


def _show_yes_or_no(value: bool) -> str:  # noqa: FBT001 (it shows any value)
    return "yes" if value else "no"


def _read_hold(text: str) -> timedelta:
    hold = timedelta(0) if text == _OFF else read_duration(text)
    if hold > LONGEST_WAIT:
        raise ValueError(f"{text!r} is too long; the maximum is {show_time(LONGEST_WAIT)}")
    return hold


def _show_hold(hold: timedelta) -> str:
    return _show_duration(hold) if hold else _OFF


def _show_duration(duration: timedelta) -> str:
    is_whole = not duration.microseconds
    return show_time(duration) if is_whole else f"{duration.total_seconds():.6f}s"


def _read_window(text: str) -> timedelta:
    window, (shortest, longest) = read_duration(text), _WINDOW
    if not shortest <= window <= longest:
        raise ValueError(
            f"{text!r} is not valid; the window is from {show_time(shortest)} to"
            f" {show_time(longest)} long"
        )
    return window


def _read_disable_after(text: str) -> timedelta:
    if text == _OFF:
        return _NEVER
    time = read_duration(text)
    if time < _SHORTEST_DISABLING:
        raise ValueError(
            f"{text!r} is too short; the minimum is {show_time(_SHORTEST_DISABLING)}; write {_OFF}"
            " to disable nothing"
        )
    return time


def _show_disable_after(time: timedelta) -> str:
    return _OFF if time == _NEVER else _show_duration(time)


def _read_order(text: str) -> DestinationOrder:
    if text in list(DestinationOrder):
        return DestinationOrder(text)
    raise ValueError(f"{text!r} is not an order; write {' or '.join(DestinationOrder)}")


def _read_egress_name(text: str) -> str | None:
    if text == _OFF:
        return None
    if text.isascii() and text.replace("-", "").isalnum() and len(text) <= 100:
        return text
    raise ValueError(
        f"{text!r} is not the name of an egress; write a name from the table [egress] in the"
        f" settings, or {_OFF}"
    )


def _show_name(name: str | None) -> str:
    return name or _OFF


def _read_notify(text: str) -> CallbackUrl | None:
    if text == _OFF:
        return None
    try:
        # Which sources there are, the caller checks.
        return CallbackUrl.parse(text, sources=None)
    except InvalidCallbackUrl as problem:
        raise ValueError(problem.message) from None


def _show_notify(url: CallbackUrl | None) -> str:
    return _OFF if url is None else url.configured


def _read_account(text: str) -> str:
    if not is_sid(text, SidKind.ACCOUNT):
        raise ValueError(f"{text!r} is not the SID of an account (AC…)")
    return text[:2] + text[2:].lower()


def _setting(
    name: str,
    forms: tuple[Callable[[str], Any], Callable[[Any], str], str],
    bound: Bound,
    help: str,  # noqa: A002 (the name of the field)
    **more: bool,
) -> DestinationSetting:
    return DestinationSetting(name, *forms, bound, help, **more)


_RATE: Final = (_read_rate, _show_rate, "NUMBER")
_BURST: Final = (_whole(1, _HIGHEST_RATE), str, "NUMBER")
_SWITCH: Final = (_read_yes_or_no, _show_yes_or_no, "YES|NO")

DESTINATION_SETTINGS: Final = (
    _setting(
        *("rate", _RATE, Bound.LOWER),
        f"Most requests a second to the destination, such as 20 or 0.5; {_OFF} for no limit.",
    ),
    _setting(
        *("burst", _BURST, Bound.LOWER),
        "How many requests may leave at once after a quiet time; no second has more requests than"
        " rate and burst together. Default: a fifth of the rate, rounded up, and 1 more.",
    ),
    _setting(
        *("total_rate", _RATE, Bound.OPERATOR),
        "Most requests a second to the destination for all accounts together.",
        is_operators=True,
    ),
    _setting(
        *("total_burst", _BURST, Bound.OPERATOR),
        "The same as burst, for all accounts together.",
        is_operators=True,
    ),
    _setting(
        *("hold", (_read_hold, _show_hold, "DURATION"), Bound.HIGHER),
        "How long at most an answer 429 or 503 with Retry-After holds all other callbacks to the"
        f" destination, too; {_OFF} to hold only the one that was answered so.",
    ),
    _setting(
        *("breaker", _SWITCH, Bound.HIGHER),
        "Whether a circuit breaker stops the callbacks to a destination that fails, and lets only"
        " a probe pass from time to time.",
    ),
    _setting(
        *("breaker_share", (_whole(1, 100), str, "PERCENT"), Bound.LOWER),
        "The share of failed requests, in percent, at which the breaker opens.",
    ),
    _setting(
        *("breaker_window", (_read_window, _show_duration, "DURATION"), Bound.OPERATOR),
        "The time in which the breaker counts requests, such as 5m.",
    ),
    _setting(
        *("breaker_least", (_whole(1, 10_000), str, "NUMBER"), Bound.LOWER),
        "The least number of requests in this time; with fewer, the breaker never opens.",
    ),
    _setting(
        *("breaker_4xx", _SWITCH, Bound.HIGHER),
        "Whether answers with a status from 400 to 499 count as failed, too.",
    ),
    _setting(
        *("disable_after", (_read_disable_after, _show_disable_after, "DURATION"), Bound.LOWER),
        f"After how long without a single success to disable the destination, such as 5d; {_OFF}"
        " to disable nothing.",
    ),
    _setting(
        *("disable_on_gone", _SWITCH, Bound.HIGHER),
        "Whether the answer 410 Gone disables the destination.",
    ),
    _setting(
        *("order", (_read_order, str, "NONE|SIM"), Bound.ACCOUNT),
        "sim to send the callbacks of each SIM one after the other; none to send all as soon as"
        " possible.",
    ),
    _setting(
        *("egress", (_read_egress_name, _show_name, "NAME"), Bound.ACCOUNT),
        "The egress route that requests take, by its name in the settings; a URL's own #e= comes"
        " first.",
    ),
    _setting(
        *("notify", (_read_notify, _show_notify, "URL"), Bound.ACCOUNT),
        "Callback URL that gets events about the destination, such as destination.opened; with"
        f" #cbs= as any other. {_OFF} for none.",
        is_secret=True,
    ),
    _setting(
        *("notify_account", (_read_account, str, "SID"), Bound.OPERATOR),
        "The account that sends the operator's own events: its secrets sign them.",
        is_operators=True,
    ),
)
"""All settings that have a text of their own; headers and certificates have their own forms."""

BY_NAME: Final[Mapping[str, DestinationSetting]] = {one.name: one for one in DESTINATION_SETTINGS}
"""The settings by their names."""


@dataclass(frozen=True, slots=True)
class DestinationValues:
    """What one place sets, such as a rule of the settings file: the values by their names."""

    values: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Parsed values; what is missing is not set here."""
    headers: tuple[tuple[str, str], ...] | None = field(default=None, repr=False)
    """Headers to add to requests; None if none are set here."""
    client_certificate: str | None = field(default=None, repr=False)
    """The client certificate with its chain and its key, as PEM; empty for none at all."""
    ca: str | None = field(default=None, repr=False)
    """Further CA certificates to trust, as PEM; empty for none at all."""

    @property
    def is_empty(self) -> bool:
        """True if nothing is set."""
        return not self.values and self.headers is self.client_certificate is self.ca is None


NOTHING: Final = DestinationValues()


def write_values(given: DestinationValues) -> tuple[dict[str, str], dict[str, Any]]:
    """Return the values as texts: those that may be seen, and the secret ones."""
    shown, secret = dict[str, str](), dict[str, Any]()
    for name, value in given.values.items():
        setting = BY_NAME[name]
        (secret if setting.is_secret else shown)[name] = setting.show(value)
    beside = {
        "headers": given.headers and [*map(list, given.headers)],
        "client_certificate": given.client_certificate,
        "ca": given.ca,
    }
    secret |= {name: value for name, value in beside.items() if value is not None}
    return shown, secret


def read_values(shown: Mapping[str, str], secret: Mapping[str, Any]) -> DestinationValues:
    """Return the values that `write_values` has written.

    What is not known any more, or would be refused by now, is left out.
    """
    texts = {**shown, **secret}
    values = dict[str, Any]()
    for name in texts.keys() & BY_NAME.keys():
        with suppress(ValueError):
            values[name] = BY_NAME[name].read(texts[name])
    headers = texts.get("headers")
    return DestinationValues(
        values,
        None if headers is None else tuple((name, value) for name, value in headers),
        texts.get("client_certificate"),
        texts.get("ca"),
    )
