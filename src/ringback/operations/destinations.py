"""Sets what applies to destinations, pauses and resumes them, and sends tests to them.

An account changes what it has set itself, and the operator what the operator has set, for one
account or for all.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, NamedTuple

from ringback.core.accounts.account import EVERY, one_account
from ringback.core.audit import SecretValue
from ringback.core.calendar import iso
from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.callbacks.callback import CallbackRecord
from ringback.core.destinations.destination_events import QUIET, DestinationEvent
from ringback.core.destinations.destination_pattern import DestinationPattern
from ringback.core.destinations.destination_settings import BY_NAME, DestinationValues, write_values
from ringback.core.destinations.effective_settings import SettingsOwner
from ringback.core.errors import Conflict, Forbidden
from ringback.core.events.event_kinds import DestinationEventKind
from ringback.core.form_encoding import encode
from ringback.core.sids import SidKind
from ringback.operations.accounts import fetch_account
from ringback.operations.callback_destinations import destinations_of, named
from ringback.operations.context import OperationContext
from ringback.ports import (
    AuditFilter,
    DestinationPause,
    Lane,
    PageWindow,
    StoredDestinationSettings,
    Transaction,
)

MOST_PATTERNS: Final = 1000
"""For how many patterns an account, or the operator for an account, can set something."""
OWN_FORMS: Final = ("headers", "client_certificate", "ca")
"""The names of what is set beside the settings that have a text."""


class DestinationSubject(NamedTuple):
    """What is changed: what one owner has set for an account's destinations of a pattern."""

    owner: SettingsOwner
    account_sid: str
    """The account whose callbacks it is about; EVERY for all accounts."""
    pattern: DestinationPattern

    @property
    def is_operators(self) -> bool:
        """True if the operator changes it."""
        return self.owner is SettingsOwner.OPERATOR


class PauseInForce(NamedTuple):
    """A pause of a destination that somebody wants to resume."""

    owner: SettingsOwner
    pattern: str
    pause: DestinationPause


@dataclass(frozen=True, slots=True)
class SettingChange:
    """What to set for the destinations of a pattern, and what not to set any more."""

    given: DestinationValues
    unset: Collection[str] = ()
    """Names of settings, or of OWN_FORMS."""
    begins_anew: bool = False
    """True if all that was set before is unset."""

    def applied_to(self, before: DestinationValues) -> DestinationValues:
        """Return the values after the change."""
        if self.begins_anew:
            return self.given
        kept = {name: one for name, one in before.values.items() if name not in self.unset}
        beside: dict[str, Any] = {
            name: getattr(before if new is None else self.given, name)
            for name in OWN_FORMS
            for new in (getattr(self.given, name),)
            if name not in self.unset
        }
        return DestinationValues({**kept, **self.given.values}, **beside)


def set_for_destinations(
    tx: Transaction, subject: DestinationSubject, change: SettingChange, context: OperationContext
) -> StoredDestinationSettings:
    """Set something for the destinations of a pattern, and return all that is set for it then.

    Raises Forbidden if an account sets what only the operator can set, Conflict if something is set
    for too many patterns already, and NotFound if an account does not exist.
    """
    given = change.given.values
    for name in (*given, *change.unset):
        if name in BY_NAME and BY_NAME[name].is_operators and not subject.is_operators:
            raise Forbidden(
                f"only the operator can set {BY_NAME[name].parameter}: sign in with an operator's"
                " key, which `ringback accounts keys create --operator` makes"
            )
    if given.get("notify_account") is not None:
        fetch_account(tx, given["notify_account"])
    before = _fetch(tx, subject, context)
    if before.unopened is not None:
        if not change.begins_anew and _is_secret(change):
            raise Conflict(
                f"the headers, certificates or URLs set for {before.pattern} can't be decrypted, so"
                " they can only be replaced all together: unset all with UnsetAll (--unset-all),"
                " and set them anew"
            )
        if change.begins_anew:
            before = replace(before, unopened=None)
    return _save(tx, before, replace(before, given=change.applied_to(before.given)), context)


def _is_secret(change: SettingChange) -> bool:
    """Return True if a change is about values that are encrypted in the store."""
    secret = {*OWN_FORMS, *(one.name for one in BY_NAME.values() if one.is_secret)}
    return bool(write_values(change.given)[1] or secret & {*change.unset})


def pause_destinations(
    tx: Transaction,
    subject: DestinationSubject,
    *,
    until: datetime | None,
    reason: str,
    context: OperationContext,
) -> StoredDestinationSettings:
    """Send nothing to the destinations of a pattern, and return what is set for it then.

    `until` is when the pause ends by itself; None for never. An earlier pause gets this end and
    this reason. Raises Conflict and NotFound like `set_for_destinations`.
    """
    before, now = _fetch(tx, subject, context), context.now
    since = now if before.pause is None or before.pause.is_over(now) else before.pause.since
    pause = DestinationPause(since, until, reason)
    return _save(tx, before, replace(before, pause=pause), context, "PauseDestination")


def resume_destinations(
    tx: Transaction,
    subject: DestinationSubject,
    others: Sequence[PauseInForce],
    context: OperationContext,
) -> StoredDestinationSettings:
    """End the owner's pause of a pattern, and begin anew with what is disabled or has opened.

    `others` are the pauses in force of its destinations. Raises Conflict if it stays paused because
    of one of them: an account can't end a pause of the operator, and the pause of a more general
    pattern ends as a whole. Raises NotFound if there is no such account. Nothing is stored if there
    is nothing to resume.
    """
    before, now = _fetch(tx, subject, context), context.now
    own = subject.owner, subject.pattern.text
    for one in others:
        if (one.owner, one.pattern) != own and not one.pause.is_over(now) and before.pause is None:
            raise Conflict(_why_not(subject, one))
    if not before.revision and subject.pattern.is_exact:
        # A record for each text that somebody resumes would fill the table.
        lane = Lane(subject.account_sid, subject.pattern.text)
        if subject.account_sid != EVERY and tx.destinations.state_of(lane) is None:
            return before
    after = replace(before, pause=None, resumed=now)
    return _save(tx, before, after, context, "ResumeDestination")


def _why_not(subject: DestinationSubject, one: PauseInForce) -> str:
    because = f": {one.pause.reason}" if one.pause.reason else ""
    until = "" if one.pause.until is None else f" until {iso(one.pause.until)}"
    who = f"{subject.pattern.text} is paused by the {one.owner}, for {one.pattern}, since"
    told = f"{who} {iso(one.pause.since)}{until}{because}"
    if one.owner is not subject.owner:
        return f"{told}; only the {one.owner} can resume it"
    return f"{told}; resume {one.pattern}"


def pause_event(
    tx: Transaction, stored: StoredDestinationSettings, context: OperationContext
) -> DestinationEvent | None:
    """Return the event that destinations are paused now; None if there was one a short time ago.

    To be called once the pause is stored: its own entry in the audit does not count.
    """
    which = AuditFilter(
        action="PauseDestination", subject=stored.pattern, since=context.now - QUIET
    )
    if stored.pause is None or len(tx.audit.page(stored.account_sid, which, PageWindow(2))) > 1:
        return None
    because = f": {stored.pause.reason}" if stored.pause.reason else ""
    until = "" if stored.pause.until is None else f" until {iso(stored.pause.until)}"
    return DestinationEvent(
        DestinationEventKind.PAUSED,
        stored.account_sid,
        stored.pattern,
        context.now,
        f"paused by the {stored.owner}{until}{because}",
    )


def send_test(
    tx: Transaction, account_sid: str, url: CallbackUrl, context: OperationContext
) -> CallbackRecord:
    """Queue a callback that tests a destination, and return it.

    It is sent like all others: from the source that the policy chooses, and with all that is set
    for the destination. If `url` has neither path nor fragment, it goes to the newest URL with the
    same scheme, host and port that the account has configured or has sent callbacks to.
    """
    known = destinations_of(tx, account_sid)
    there = [one for one in known if one.url.destination == url.destination]
    is_bare = url.path in ("", "/") and url.query is None and url.fragment is None
    to = (there if is_bare and there else named([url], known))[0]
    event = DestinationEvent(
        DestinationEventKind.TEST, account_sid, to.url.destination, context.now, "somebody tests it"
    )
    callback = context.compose(
        *(encode(event.parameters()), account_sid, to.url, to.method), created_by=context.actor.id
    )._replace(event=event.kind.value)
    context.queue.take(tx, callback)
    return callback


def _fetch(
    tx: Transaction, subject: DestinationSubject, context: OperationContext
) -> StoredDestinationSettings:
    """Return the record of a pattern, which may be empty; see `set_for_destinations`."""
    if subject.account_sid != EVERY:
        fetch_account(tx, subject.account_sid)
    owner, account_sid, pattern = subject
    stored = tx.destinations.find(owner, account_sid, pattern.text)
    is_new = stored is None or stored.is_empty
    if is_new and tx.destinations.number_set(owner, account_sid) >= MOST_PATTERNS:
        raise Conflict(
            f"something is set for {MOST_PATTERNS:,} patterns already, the most that can be;"
            " unset what is not needed any more, or use a more general pattern"
        )
    if stored is not None:
        return stored
    return StoredDestinationSettings(
        sid=context.sid(SidKind.DESTINATION_SETTINGS),
        owner=owner,
        account_sid=account_sid,
        pattern=pattern.text,
        date_updated=context.now,
    )


def _save(
    tx: Transaction,
    before: StoredDestinationSettings,
    after: StoredDestinationSettings,
    context: OperationContext,
    action: str = "SetDestination",
) -> StoredDestinationSettings:
    saved = tx.destinations.save(replace(after, date_updated=context.now))
    context.record(
        *(tx, action, after.pattern),
        account_sid=one_account(after.account_sid),
        before=_fields(before),
        after=_fields(after),
    )
    return saved


def _fields(stored: StoredDestinationSettings) -> dict[str, object]:
    """Return the fields of a record as an audit entry shows them."""
    shown, secret = write_values(stored.given)
    fields: dict[str, object] = {"owner": stored.owner, **shown}
    fields |= {name: SecretValue(value) for name, value in secret.items()}
    if stored.pause is not None:
        since, until, reason = stored.pause
        fields |= {"paused_since": since, "paused_until": until, "pause_reason": reason}
    if stored.resumed is not None:
        fields["resumed"] = stored.resumed
    return fields
