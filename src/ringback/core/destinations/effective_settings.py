"""The settings in force for a destination, and which place each of them comes from.

There are two layers: what the operator sets, in the settings file or at run time, and what an
account sets for itself. In each, the more special pattern comes first, then what is set for one
account, then what is set at run time. Between the layers, `Bound` decides.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final, NamedTuple

from ringback.core.accounts.account import EVERY
from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.destinations.circuit_breaker import BreakerRules
from ringback.core.destinations.destination_pattern import DestinationPattern
from ringback.core.destinations.destination_settings import (
    BY_NAME,
    NOTHING,
    Bound,
    DestinationOrder,
    DestinationValues,
)
from ringback.core.http.connection_profile import NO_PROFILE, ConnectionProfile
from ringback.core.retry_schedule import RetrySchedule

_OWN_WAYS: Final = ("headers", "client_certificate", "ca", "egress")
_HOLD: Final = timedelta(minutes=1)
_OPENING_S: Final = 0.2
"""How long it may take to open a connection, in seconds, for a rate to be reached by default."""


Notified = tuple[tuple[str | None, CallbackUrl], ...]
"""URLs that get events, each with the account that sends them; None for the lane's own."""


class SettingsOwner(StrEnum):
    """The two sides that can set something."""

    OPERATOR = "operator"
    ACCOUNT = "account"


@dataclass(frozen=True, slots=True)
class DestinationRule:
    """What one place sets for the destinations of a pattern."""

    owner: SettingsOwner
    account_sid: str
    """The account whose callbacks it is about, or EVERY."""
    pattern: DestinationPattern
    given: DestinationValues = NOTHING
    is_in_file: bool = False
    """True if it comes from the settings file."""

    def covers(self, account_sid: str, destination: str) -> bool:
        """Return True if the rule is about an account's callbacks to a destination."""
        is_for_account = self.account_sid in (EVERY, account_sid)
        return is_for_account and self.pattern.matches(destination)

    @property
    def specificity(self) -> tuple[object, ...]:
        """A rule with a higher value comes before the others of its layer."""
        return (self.pattern.specificity, self.account_sid != EVERY, not self.is_in_file)

    @property
    def place(self) -> str:
        """The place, in words."""
        where = "in the settings" if self.is_in_file else "at run time"
        who = "the account" if self.owner is SettingsOwner.ACCOUNT else "the operator"
        whose = "" if self.account_sid == EVERY or who == "the account" else " for it"
        return f"{who}{whose}, {where}, for {self.pattern.text}"


class SettingInForce(NamedTuple):
    """A value, and the place where it was set."""

    value: Any
    origin: str


BY_DEFAULT: Final = "the default"


@dataclass(frozen=True, slots=True)
class EffectiveSettings:
    """The settings in force for one lane."""

    rate: float
    """Requests a second; infinite for no limit."""
    burst: int
    total_rate: float
    """Requests a second of all accounts to the destination; infinite for no limit."""
    total_burst: int
    hold: timedelta
    breaker: BreakerRules | None
    """None if there is no breaker."""
    watch: BreakerRules
    """The rules by which a destination counts as failing, with or without a breaker."""
    disable_after: timedelta
    disable_on_gone: bool
    order: DestinationOrder
    profile: ConnectionProfile = NO_PROFILE
    """What requests to the destination have of their own: headers, a certificate, an egress."""
    notify: Notified = field(default=(), repr=False)
    """Where events go."""
    origins: Mapping[str, str] = field(default_factory=dict[str, str])
    """The place where each setting was set; what is missing has its default."""

    @property
    def is_paced(self) -> bool:
        """True if the rate of requests is limited."""
        return not (math.isinf(self.rate) and math.isinf(self.total_rate))


def effective_settings(
    rules: Iterable[DestinationRule], schedule: RetrySchedule
) -> EffectiveSettings:
    """Return the settings that these rules give, which all cover the lane.

    `schedule` is the retry schedule of its account, on which two defaults depend.
    """
    ordered = sorted(rules, key=lambda rule: rule.specificity, reverse=True)
    layers = {owner: _merged(ordered, owner) for owner in SettingsOwner}
    found = _bounded(layers)

    def value(name: str, default: Any) -> Any:
        return found[name].value if name in found else default

    rules_of_breaker = BreakerRules(
        share=value("breaker_share", 100 * BreakerRules().share) / 100,
        window=value("breaker_window", BreakerRules().window),
        least=value("breaker_least", BreakerRules().least),
        counts_4xx=value("breaker_4xx", default=False),
    )
    # The vendors' own systems, which a schedule without waits imitates, have neither.
    has_waits = bool(schedule.waits)
    rate, total_rate = value("rate", math.inf), value("total_rate", math.inf)
    return EffectiveSettings(
        rate=rate,
        burst=value("burst", _burst_of(rate)),
        total_rate=total_rate,
        total_burst=value("total_burst", _burst_of(total_rate)),
        hold=value("hold", _HOLD if has_waits else timedelta(0)),
        breaker=rules_of_breaker if value("breaker", has_waits) else None,
        watch=rules_of_breaker,
        disable_after=value("disable_after", timedelta.max),
        disable_on_gone=value("disable_on_gone", default=False),
        order=value("order", DestinationOrder.NONE),
        profile=_profile_of(found),
        notify=_notified(layers),
        origins={name: one.origin for name, one in found.items()},
    )


def _profile_of(found: Mapping[str, SettingInForce]) -> ConnectionProfile:
    # An empty text undoes the value of a more general rule.
    own = {name: found[name].value or None for name in _OWN_WAYS if name in found}
    if not any(own.values()):
        return NO_PROFILE
    return ConnectionProfile(
        headers=own.get("headers") or (),
        client_certificate=own.get("client_certificate"),
        ca=own.get("ca"),
        egress=own.get("egress"),
    )


def _burst_of(rate: float) -> int:
    return 1 if math.isinf(rate) else 1 + math.ceil(rate * _OPENING_S)


_Layer = Mapping[str, SettingInForce]


def _merged(ordered: Iterable[DestinationRule], owner: SettingsOwner) -> _Layer:
    """Return the settings of one layer; the most special rule decides."""
    found = dict[str, SettingInForce]()
    for rule in ordered:
        if rule.owner is not owner:
            continue
        given = rule.given
        beside = {"headers": given.headers, "client_certificate": given.client_certificate}
        for name, value in {**given.values, **beside, "ca": given.ca}.items():
            if value is not None or name in given.values:
                found.setdefault(name, SettingInForce(value, rule.place))
    return found


def _bounded(layers: Mapping[SettingsOwner, _Layer]) -> dict[str, SettingInForce]:
    """Return the settings in force, out of both layers."""
    operators, accounts = layers[SettingsOwner.OPERATOR], layers[SettingsOwner.ACCOUNT]
    return {
        name: _choice(name, operators.get(name), accounts.get(name))
        for name in operators.keys() | accounts.keys()
    }


_CHOOSE: Final[Mapping[Bound, Callable[[Any, Any], bool]]] = {
    Bound.LOWER: lambda operators, accounts: accounts < operators,
    Bound.HIGHER: lambda operators, accounts: accounts > operators,
    Bound.OPERATOR: lambda _operators, _accounts: False,
    Bound.ACCOUNT: lambda _operators, _accounts: True,
}


def _choice(
    name: str, operators: SettingInForce | None, accounts: SettingInForce | None
) -> SettingInForce:
    if operators is None or accounts is None:
        one = operators or accounts
        assert one is not None  # noqa: S101 (one of the layers has the name)
        return one
    bound = BY_NAME[name].bound if name in BY_NAME else Bound.ACCOUNT
    return accounts if _CHOOSE[bound](operators.value, accounts.value) else operators


def _notified(layers: Mapping[SettingsOwner, _Layer]) -> Notified:
    """Return the URLs of both layers: neither the operator's nor the account's bounds the other."""
    found = list[tuple[str | None, CallbackUrl]]()
    for owner, layer in layers.items():
        url = layer["notify"].value if "notify" in layer else None
        sender = layer["notify_account"].value if "notify_account" in layer else None
        if url is not None and (owner is SettingsOwner.ACCOUNT or sender is not None):
            found.append((sender if owner is SettingsOwner.OPERATOR else None, url))
    return tuple(found)
