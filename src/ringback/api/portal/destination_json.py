"""Shows destinations in the portal's JSON: how they are, what waits, and what is set for them."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Any, Final, NamedTuple

from ringback.api.dependencies import DestinationServices
from ringback.api.portal.audit import AUTHOR
from ringback.api.schema_pieces import (
    FLAG,
    INSTANT,
    SECONDS,
    TEXT,
    Schema,
    list_of,
    number,
    object_of,
    one_of,
    or_null,
    sid_of,
)
from ringback.api.serializers import CustomJsonSerializer
from ringback.core.accounts.account import EVERY, one_account
from ringback.core.audit import HIDDEN, AuditEntry
from ringback.core.calendar import iso
from ringback.core.callback_counts import (
    ATTEMPT_SECONDS,
    CallbackCounts,
    CountGap,
    CountSpan,
    CountSum,
    quantile,
)
from ringback.core.callbacks.callback import CallbackRecord
from ringback.core.destinations.destination_settings import (
    BY_NAME,
    DESTINATION_SETTINGS,
    DestinationValues,
    write_values,
)
from ringback.core.destinations.destination_state import WELL
from ringback.core.destinations.effective_settings import (
    BY_DEFAULT,
    EffectiveSettings,
    SettingsOwner,
)
from ringback.core.sids import SidKind
from ringback.delivery.lane_valve import LaneValve
from ringback.ports import (
    AuditFilter,
    CountFilter,
    DestinationPause,
    Lane,
    LanePlace,
    PageWindow,
    StoredDestinationSettings,
    Transaction,
    lane_of,
)
from ringback.runtime.certificate_files import describe_certificates

MOST_COUNTED: Final = 10_000
"""The number of waiting callbacks from which on they are not counted any more."""
_HOUR: Final = timedelta(hours=1)
_MINUTES: Final = 62
"""No fewer than there can be in the last hour."""
_CHANGES: Final = 10
"""How many of the last changes are shown."""
_NONE: Final = "none"
_AT_THE_SAME_TIME: Final = 100
"""How many callbacks that are due at the same instant are looked through for one of them."""


class DestinationStatus(StrEnum):
    """What callbacks to a destination meet with."""

    WELL = "well"
    FAILING = "failing"
    OPEN = "open"
    HELD = "held"
    PAUSED = "paused"
    DISABLED = "disabled"
    DAMAGED = "damaged"


class DestinationCondition(NamedTuple):
    """The status of a destination, and why and how long it has this status."""

    status: DestinationStatus
    why: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    """When the status ends by itself, or when the next probe is sent; None if that is open."""


_SETTING: Final = object_of(name=TEXT, value=TEXT, origin=TEXT)
_ACCOUNT: Final = sid_of(SidKind.ACCOUNT)
_MINUTE: Final = object_of(began=INSTANT, attempts=number(0), failed=number(0))
_BRIEF: Final[Mapping[str, Schema]] = {
    "account_sid": _ACCOUNT,
    "destination": TEXT,
    "state": one_of(DestinationStatus),
    "why": or_null(TEXT),
    "since": or_null(INSTANT),
    "until": or_null(INSTANT),
    "waiting": number(0),
    "waiting_has_more": FLAG,
    "oldest_due": or_null(INSTANT),
    "attempts_last_hour": number(0),
    "last_hour_is_incomplete": FLAG,
    "success_percent": or_null(SECONDS),
    "attempt_p50": or_null(SECONDS),
    "attempt_p95": or_null(SECONDS),
    "minutes": or_null(list_of(_MINUTE)),
    "rate": TEXT,
    "burst": number(1),
    "window": or_null(number(0)),
}
_SET: Final = object_of(
    owner=one_of(SettingsOwner),
    account_sid=or_null(_ACCOUNT),
    pattern=TEXT,
    settings=list_of(object_of(name=TEXT, value=TEXT)),
    paused_since=or_null(INSTANT),
    paused_until=or_null(INSTANT),
    pause_reason=or_null(TEXT),
    date_resumed=or_null(INSTANT),
    date_updated=INSTANT,
)
SET_FOR_DESTINATIONS: Final = CustomJsonSerializer("set_for_destinations", _SET)
DESTINATION: Final = CustomJsonSerializer(
    "destination",
    object_of(
        **_BRIEF, settings=list_of(_SETTING), set_here=list_of(_SET), changes=list_of(AUTHOR.schema)
    ),
)
DESTINATIONS: Final = CustomJsonSerializer(
    "destinations",
    object_of(
        destinations=list_of(object_of(**_BRIEF)),
        patterns=list_of(_SET),
        next_page_token=or_null(TEXT),
    ),
)


class DestinationViewer:
    """Reads in a transaction what the portal shows of destinations."""

    def __init__(
        self,
        tx: Transaction,
        services: DestinationServices,
        now: datetime,
        *,
        with_minutes: bool = False,
    ) -> None:
        """Show destinations as they are at `now`, on request with each minute of the last hour."""
        self._tx = tx
        self._services = services
        self._now = now
        self._with_minutes = with_minutes
        self._valves = dict[Lane, LaneValve]()

    def condition(self, lane: Lane) -> DestinationCondition:
        """Return the status of a lane's destination."""
        if damage := self._services.book.damage_of(lane):
            return DestinationCondition(DestinationStatus.DAMAGED, damage)
        if not self._services.book.pauses_of(lane) and self._tx.destinations.state_of(lane) is None:
            return DestinationCondition(DestinationStatus.WELL)
        valve, now = self._valve(lane), self._now
        state, why = valve.state, valve.why(now)
        if state.disabled is not None:
            return DestinationCondition(DestinationStatus.DISABLED, why, state.disabled)
        if valve.pause is not None:
            since, until, _ = valve.pause.pause
            return DestinationCondition(DestinationStatus.PAUSED, why, since, until)
        if state.opened is not None:
            next_probe = max(state.probe_at or now, now)
            return DestinationCondition(DestinationStatus.OPEN, why, state.opened, next_probe)
        if state.held_until is not None and state.held_until > now:
            return DestinationCondition(DestinationStatus.HELD, why, None, state.held_until)
        if state.failing_since is not None:
            failing = "many of the last requests failed"
            return DestinationCondition(DestinationStatus.FAILING, failing, state.failing_since)
        return DestinationCondition(DestinationStatus.WELL)

    def waits_because(self, callback: CallbackRecord) -> str | None:
        """Return why a callback waits although it is due, in words; None if it does not have to."""
        due = callback.progress.due
        if due is None or due > self._now:
            return None
        lane = lane_of(callback)
        account = self._tx.accounts.get(callback.account_sid)
        if account is not None and (damaged := account.damaged_signing_secrets):
            return f"secrets that sign its account's callbacks are damaged: {', '.join(damaged)}"
        status, why, _, until = self.condition(lane)
        match status:
            case DestinationStatus.OPEN if until is not None:
                return f"{why}; the next probe is at {iso(until)}"
            case DestinationStatus.PAUSED | DestinationStatus.HELD if until is not None:
                return f"{why}, until {iso(until)}"
            case DestinationStatus.WELL | DestinationStatus.FAILING:
                if callback.order_key is not None and self._is_behind(callback, due):
                    return "it waits for the callback before it, in its order"
                is_paced = self._valve(lane).settings.is_paced
                return "the rate of the destination is limited" if is_paced else None
            case _:
                return why

    def brief(self, lane: Lane, condition: DestinationCondition) -> dict[str, Any]:
        """Return the fields of a destination that lists show."""
        settings = self._settings(lane)
        waiting = self._tx.destinations.waiting_totals(lane, limit=MOST_COUNTED)
        status, why, since, until = condition
        return {
            **lane._asdict(),
            "state": status,
            "why": why,
            "since": since,
            "until": until,
            "waiting": waiting.number,
            "waiting_has_more": waiting.has_more,
            "oldest_due": waiting.oldest_due,
            **self._last_hour(lane),
            "rate": BY_NAME["rate"].show(settings.rate),
            "burst": settings.burst,
            "window": self._services.window_of(lane),
        }

    def whole(self, lane: Lane, *, for_operator: bool) -> dict[str, Any]:
        """Return all that is known of a destination; the operator also sees the operator's."""
        settings, show = self._settings(lane), AUTHOR.show_by(str)
        changes = self._changes(lane)
        return {
            **self.brief(lane, self.condition(lane)),
            "settings": [*_in_force(settings, for_operator=for_operator)],
            "set_here": [
                show_stored(one)
                for one in self._services.book.all_set(lane.account_sid)
                if one.pattern == lane.destination
            ],
            "changes": [show(one if for_operator else one.for_account) for one in changes],
        }

    def _is_behind(self, callback: CallbackRecord, due: datetime) -> bool:
        """Return True if a callback waits for another one of its order key."""
        same_time = self._tx.destinations.waiting_in(
            lane_of(callback), due_by=due, after=LanePlace(due, -1), limit=_AT_THE_SAME_TIME
        )
        is_sendable = any(one.sid == callback.sid for one in same_time)
        return not is_sendable and len(same_time) < _AT_THE_SAME_TIME

    def _valve(self, lane: Lane) -> LaneValve:
        valve = self._valves.get(lane)
        if valve is None:
            book = self._services.book
            state, resumed = self._tx.destinations.state_of(lane) or WELL, book.resumed_at(lane)
            begun = max((one for one in (state.opened, state.disabled) if one), default=None)
            if begun is not None and resumed is not None and begun <= resumed:
                # The process that sends there is about to begin anew.
                state = WELL
            self._valves[lane] = valve = LaneValve(lane, book, state, self._now)
        return valve

    def _settings(self, lane: Lane) -> EffectiveSettings:
        account = self._tx.accounts.get(lane.account_sid)
        return self._services.book.settings_of(lane, account and account.schedule)

    def _last_hour(self, lane: Lane) -> dict[str, Any]:
        since = CountSpan.MINUTE.begin_of(self._now - _HOUR)
        which = CountFilter(since, self._now, *lane)
        sums = self._tx.counters.sums(
            which, CountSpan.MINUTE, is_total=not self._with_minutes, limit=_MINUTES
        )
        counts = CallbackCounts()
        for one in sums:
            counts.add(one.counts)
        attempts, failed = counts.attempts, sum(counts.failures.values())
        return {
            "attempts_last_hour": attempts,
            "last_hour_is_incomplete": bool(self._gaps),
            "success_percent": round(100 * (1 - failed / attempts), 1) if attempts else None,
            "attempt_p50": quantile(counts.attempt_seconds, ATTEMPT_SECONDS, 0.5),
            "attempt_p95": quantile(counts.attempt_seconds, ATTEMPT_SECONDS, 0.95),
            "minutes": [_minute(one) for one in sums] if self._with_minutes else None,
        }

    @cached_property
    def _gaps(self) -> list[CountGap]:
        since = CountSpan.MINUTE.begin_of(self._now - _HOUR)
        return self._tx.counters.gaps(since, self._now, now=self._now)

    def _changes(self, lane: Lane) -> Sequence[AuditEntry]:
        """Return the last changes of what is set for the destination, the newest first."""
        rules = self._services.book.rules_of(lane)
        places = {
            (rule.account_sid, rule.pattern.text)
            for rule in rules
            if not rule.is_in_file and rule.account_sid != EVERY
        }
        found = [
            entry
            for account_sid, pattern in {(lane.account_sid, lane.destination), *places}
            for entry in self._tx.audit.page(
                account_sid, AuditFilter(subject=pattern), PageWindow(_CHANGES)
            )
        ]
        return sorted(found, key=lambda one: one.seq or 0, reverse=True)[:_CHANGES]


def _minute(one: CountSum) -> dict[str, Any]:
    counts = one.counts
    return {
        "began": one.began,
        "attempts": counts.attempts,
        "failed": sum(counts.failures.values()),
    }


def show_stored(stored: StoredDestinationSettings) -> dict[str, Any]:
    """Return the settings that a pattern has at run time; secret values are not shown."""
    pause: DestinationPause | None = stored.pause
    return {
        "owner": stored.owner,
        "account_sid": one_account(stored.account_sid),
        "pattern": stored.pattern,
        "settings": [
            {"name": name, "value": value} for name, value in _values_of(stored.given).items()
        ],
        "paused_since": pause and pause.since,
        "paused_until": pause and pause.until,
        "pause_reason": pause and pause.reason,
        "date_resumed": stored.resumed,
        "date_updated": stored.date_updated,
    }


def _values_of(given: DestinationValues) -> dict[str, str]:
    shown, secret = write_values(given)
    hidden = {name: HIDDEN for name in secret if name in BY_NAME}
    if "notify" in given.values and given.values["notify"] is None:
        hidden["notify"] = _NONE
    own = {"headers": given.headers, "client_certificate": given.client_certificate, "ca": given.ca}
    return {
        **shown,
        **hidden,
        **{name: _OWN_FORMS[name](value) for name, value in own.items() if value is not None},
    }


def _show_headers(headers: Sequence[tuple[str, str]]) -> str:
    return ", ".join(f"{name}: (hidden)" for name, _ in headers) or _NONE


def _show_certificates(pem: str | None) -> str:
    if not pem:
        return _NONE
    try:
        return describe_certificates(pem)
    except ValueError:
        # OpenSSL could use it when it was set, so that is what counts.
        return HIDDEN


_OWN_FORMS: Final[Mapping[str, Callable[[Any], str]]] = {
    "headers": _show_headers,
    "client_certificate": _show_certificates,
    "ca": _show_certificates,
}
_IN_FORCE: Final[Mapping[str, Callable[[EffectiveSettings], Any]]] = {
    "breaker": lambda settings: settings.breaker is not None,
    "breaker_share": lambda settings: round(100 * settings.watch.share),
    "breaker_window": lambda settings: settings.watch.window,
    "breaker_least": lambda settings: settings.watch.least,
    "breaker_4xx": lambda settings: settings.watch.counts_4xx,
    "egress": lambda settings: settings.profile.egress,
}
"""How the value of a setting is found that has no field of its own."""


def _in_force(settings: EffectiveSettings, *, for_operator: bool) -> list[dict[str, str]]:
    """Return the value in force of each setting, and where it comes from."""
    found = dict[str, str]()
    for setting in DESTINATION_SETTINGS:
        name = setting.name
        if name == "notify_account":
            senders = [sender for sender, _ in settings.notify if sender is not None]
            if for_operator and senders:
                found[name] = senders[0]
        elif name == "notify":
            found[name] = HIDDEN if settings.notify else _NONE
        else:
            read = _IN_FORCE.get(name)
            value = getattr(settings, name) if read is None else read(settings)
            found[name] = setting.show(value)
    profile = settings.profile
    found["headers"] = _show_headers(profile.headers)
    found["client_certificate"] = _show_certificates(profile.client_certificate)
    found["ca"] = _show_certificates(profile.ca)
    return [
        {"name": name, "value": value, "origin": settings.origins.get(name, BY_DEFAULT)}
        for name, value in found.items()
    ]
