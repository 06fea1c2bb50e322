"""The portal's operations that show destinations, set what applies to them, and pause them."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

from ringback.api.authentication import signed_in
from ringback.api.endpoint_group import ApiRequest, EndpointGroup
from ringback.api.operation_definition import ApiOperation, OperationParameter, required
from ringback.api.portal.callback_json import CALLBACK
from ringback.api.portal.destination_json import (
    DESTINATION,
    DESTINATIONS,
    SET_FOR_DESTINATIONS,
    DestinationViewer,
    show_stored,
)
from ringback.api.portal.destination_list import (
    FIRST_PLACE,
    WANTED,
    DestinationListPlace,
    WantedDestinations,
)
from ringback.api.portal.destination_request import VALUES, SettingChangeReader, naming
from ringback.api.portal.retention import refusing_unknown
from ringback.api.request_parameters import RequestParameters
from ringback.api.schema_pieces import INSTANT, TEXT, YES_OR_NO, number, sid_of, text
from ringback.core.calendar import DAY
from ringback.core.callbacks.callback import CallbackRecord
from ringback.core.destinations.destination_pattern import DestinationPattern, read_destination
from ringback.core.destinations.effective_settings import SettingsOwner
from ringback.core.errors import StoreUnavailable
from ringback.core.sids import SidKind
from ringback.operations.context import OperationContext
from ringback.operations.destinations import (
    DestinationSubject,
    PauseInForce,
    SettingChange,
    pause_destinations,
    pause_event,
    resume_destinations,
    send_test,
    set_for_destinations,
)
from ringback.ports import Lane, StoredDestinationSettings, Transaction

_PATH: Final = "/portal/v1/destinations"
_USED_WITHIN: Final = 30 * DAY
"""A destination is not listed if it had no callback for this long, unless something is left."""
_MOST_LISTED: Final = 100
_MOST_EXAMINED: Final = 1000
"""How many destinations are examined at once."""
_LOOKS: Final = 10
"""How often further destinations are examined for a page of those in one state."""
_MOST_PATTERNS: Final = 1000
_LONGEST_REASON: Final = 200
_ACCOUNT: Final = OperationParameter(
    "AccountSid",
    sid_of(SidKind.ACCOUNT),
    "The account whose callbacks it is about. Only an operator's key can name another one; without"
    " it, what an operator sets is for all accounts.",
)
_WHICH: Final = required(
    "Destination",
    text(longest=500),
    "The destinations: `*` for all, `https://host:port`, `https://*.host` for all hosts below one;"
    " a path with a star at its end, like `/app/*`, makes a part of a destination.",
)
_ONE: Final = required(
    "Destination",
    text(longest=4096),
    "A URL of the destination, or a part of one like `https://host/app/*`.",
)
_MINUTES: Final = OperationParameter(
    "Minutes", YES_OR_NO, "`yes` to show the attempts of each minute of the last hour, too."
)
_LIST: Final = (
    OperationParameter(
        "AccountSid", sid_of(SidKind.ACCOUNT), "Only the destinations of this account."
    ),
    *WANTED,
    _MINUTES,
    OperationParameter(
        "PageSize",
        number(1, _MOST_LISTED),
        "Maximum number of destinations in a page (default 50). A page can have fewer although"
        " another one follows, since only some destinations are examined for it.",
    ),
    OperationParameter(
        "PageToken", TEXT, "Where the page begins: the `next_page_token` of the page before it."
    ),
)


class DestinationEndpoints(EndpointGroup):
    """The operations on destinations."""

    def operations(self) -> list[ApiOperation]:
        """Return the operations on destinations."""
        return [
            self.answers(
                *(_PATH, "ListDestinations"),
                "List the destinations of callbacks (scheme, host and port) and their parts: how"
                " they are, and what waits. The first page also has what is set, by patterns. A"
                " destination is left out if no callback went there for 30 days and none waits.",
                *(DESTINATIONS, self._list),
                takes=_LIST,
                for_all=True,
            ),
            self.answers(
                *(f"{_PATH}/one", "FetchDestination"),
                "Show one destination: how it is, what waits, each setting in force and where it"
                " was set, what is set for exactly this destination (`set_here`), and the last"
                " changes. Secret values are never shown.",
                *(DESTINATION, self._fetch),
                takes=(_ONE, _ACCOUNT, _MINUTES),
                for_all=True,
            ),
            self._changing(
                *(_PATH, "SetDestination"),
                "Set something for destinations, or unset it. It takes effect at once. An account"
                " sets it for itself; an operator's key sets what applies to one account, or to"
                " all.",
                *(self._set, (_WHICH, _ACCOUNT, *VALUES)),
            ),
            self._changing(
                *(f"{_PATH}/pause", "PauseDestination"),
                "Send nothing to destinations, until they are resumed or until a time. What is due"
                " waits.",
                self._pause,
                (
                    *(_WHICH, _ACCOUNT),
                    OperationParameter("Until", INSTANT, "When the pause ends by itself."),
                    OperationParameter(
                        "Reason", text(longest=_LONGEST_REASON), "Why, for all who look at it."
                    ),
                ),
            ),
            self._changing(
                *(f"{_PATH}/resume", "ResumeDestination"),
                "End a pause that was begun with these credentials' rights. A destination that was"
                " disabled, or whose breaker is open, begins anew.",
                *(self._resume, (_WHICH, _ACCOUNT)),
            ),
            self.answers(
                *(f"{_PATH}/test", "TestDestination"),
                "Send a callback with the event `destination.test` to a URL, like all others. If"
                " the URL has no path, it goes to the newest known URL of this destination.",
                *(CALLBACK, self._test),
                verb="POST",
                takes=(_ONE, _ACCOUNT),
                statuses=(201,),
                for_all=True,
            ),
        ]

    def _changing(
        self,
        path: str,
        name: str,
        meaning: str,
        asked: Callable[[ApiRequest], "_Change"],
        takes: tuple[OperationParameter, ...],
    ) -> ApiOperation:
        """Return an operation that changes what is set, and responds with what is set then."""

        async def work(call: ApiRequest) -> Mapping[str, object]:
            change, book = asked(call), self._dependencies.destinations.book

            def do(tx: Transaction, context: OperationContext) -> StoredDestinationSettings:
                stored = change(tx, context)
                book.use_from(tx)
                return stored

            with refusing_unknown(call.given):
                return show_stored(await self.change(call.request, do))

        return self.answers(
            *(path, name, meaning, SET_FOR_DESTINATIONS, work),
            verb="POST",
            takes=takes,
            conflicts=True,
            for_all=True,
        )

    # What is asked for.

    def _subject(self, call: ApiRequest) -> DestinationSubject:
        """Return the subject of a request, and whose settings it changes."""
        account_sid, is_operator = _account_of(call)
        with naming(call.given, "Destination"):
            pattern = DestinationPattern.parse(call.given.required("Destination"))
        owner = SettingsOwner.OPERATOR if is_operator else SettingsOwner.ACCOUNT
        return DestinationSubject(owner, account_sid, pattern)

    def _lane(self, call: ApiRequest) -> Lane:
        account_sid = _one_account_of(call)
        with naming(call.given, "Destination"):
            return Lane(account_sid, read_destination(call.given.required("Destination")))

    # Showing.

    async def _list(self, call: ApiRequest) -> Mapping[str, object]:
        given, now = call.given, self._dependencies.clock.now()
        account_sid, _ = _account_of(call)
        wanted = WantedDestinations.read(given)
        size = given.number("PageSize", 1, _MOST_LISTED, default=50)
        begin = DestinationListPlace.parse(given.text("PageToken"), given)
        with_minutes = given.is_yes("Minutes")
        await self._write_counters()

        def look(tx: Transaction) -> dict[str, Any]:
            viewer = DestinationViewer(
                tx, self._dependencies.destinations, now, with_minutes=with_minutes
            )
            found, place = list[dict[str, Any]](), begin
            for _ in range(_LOOKS if wanted.are_few else 1):
                lanes, last = tx.destinations.lanes(
                    account_sid,
                    after=place.after,
                    used_since=now - _USED_WITHIN,
                    limit=_MOST_EXAMINED if wanted.are_few else size,
                    examining=_MOST_EXAMINED,
                )
                for lane in filter(wanted.names, lanes):
                    condition = viewer.condition(lane)
                    if wanted.has(condition.status, place):
                        found.append(viewer.brief(lane, condition))
                    if len(found) == size:
                        last = lane
                        break
                place = wanted.next_place(place, last)
                if place is None or len(found) == size:
                    break
            has_patterns = begin == FIRST_PLACE and not (wanted.status or wanted.text)
            return {
                "destinations": found,
                "patterns": self._patterns(tx, account_sid) if has_patterns else [],
                "next_page_token": place and place.token,
            }

        return await self.read(call.account_sid, look)

    def _patterns(self, tx: Transaction, account_sid: str) -> list[dict[str, Any]]:
        """Return the settings of patterns that are not the name of a lane."""
        stored = self._dependencies.destinations.book.all_set(account_sid)
        return [
            show_stored(one)
            for one in stored[:_MOST_PATTERNS]
            if not tx.destinations.has_lane(Lane(account_sid, one.pattern))
        ]

    async def _fetch(self, call: ApiRequest) -> Mapping[str, object]:
        lane, now = self._lane(call), self._dependencies.clock.now()
        is_operator = signed_in(call.request).account is None
        services = self._dependencies.destinations
        with_minutes = call.given.is_yes("Minutes")
        await self._write_counters()

        def look(tx: Transaction) -> dict[str, Any]:
            is_set = any(
                not rule.is_in_file and rule.pattern.text == lane.destination
                for rule in services.book.rules_of(lane)
            )
            if tx.accounts.get(lane.account_sid) is None:
                raise call.given.wrong(f"AccountSid: there is no account {lane.account_sid!r}")
            if not is_set and not tx.destinations.has_lane(lane):
                raise call.given.wrong(
                    f"no callback was ever sent to {lane.destination}, and nothing is set for it"
                )
            viewer = DestinationViewer(tx, services, now, with_minutes=with_minutes)
            return viewer.whole(lane, for_operator=is_operator)

        return await self.read(call.account_sid, look)

    async def _write_counters(self) -> None:
        with suppress(StoreUnavailable):
            await self._dependencies.write_counters()

    # Changing.

    def _set(self, call: ApiRequest) -> "_Change":
        subject, change = self._subject(call), self._read_change(call.given)
        self._check_sender(call.given, subject, change)
        return lambda tx, context: set_for_destinations(tx, subject, change, context)

    def _pause(self, call: ApiRequest) -> "_Change":
        subject, services = self._subject(call), self._dependencies.destinations
        until = call.given.instant("Until")
        reason = call.given.label("Reason", longest=_LONGEST_REASON)
        now = self._dependencies.clock.now()
        if until is not None and until <= now:
            raise call.given.wrong(
                f"Until={call.given.text('Until')!r}: this time has passed; give a later one"
            )

        def change(tx: Transaction, context: OperationContext) -> StoredDestinationSettings:
            stored = pause_destinations(
                tx, subject, until=until, reason=reason or "", context=context
            )
            event = pause_event(tx, stored, context)
            if event is not None:
                notified = services.book.settings_of(
                    Lane(stored.account_sid, stored.pattern)
                ).notify
                services.control.tell(tx, [event], notified)
            return stored

        return change

    def _resume(self, call: ApiRequest) -> "_Change":
        subject, book = self._subject(call), self._dependencies.destinations.book
        lane = Lane(subject.account_sid, subject.pattern.text)
        others = [PauseInForce(one.owner, one.pattern, one.pause) for one in book.pauses_of(lane)]
        return lambda tx, context: resume_destinations(tx, subject, others, context)

    async def _test(self, call: ApiRequest) -> Mapping[str, object]:
        account_sid = _one_account_of(call)
        url = self._dependencies.read_url(call.given.required("Destination"))
        self._dependencies.callback_queue.make_room(account_sid, 1)

        def send(tx: Transaction, context: OperationContext) -> CallbackRecord:
            return send_test(tx, account_sid, url, context)

        with refusing_unknown(call.given):
            return CALLBACK.at(call.request)(await self.change(call.request, send))

    def _read_change(self, given: RequestParameters) -> SettingChange:
        parts = self._dependencies
        reader = SettingChangeReader(
            given, parts.sources, parts.destinations.egress_names, parts.read_url
        )
        return reader.read()

    def _check_sender(
        self, given: RequestParameters, subject: DestinationSubject, change: SettingChange
    ) -> None:
        """Raise InvalidParameter if the operator's events would have no account to sign them."""
        values = change.given.values
        if not subject.is_operators or values.get("notify") is None or "notify_account" in values:
            return
        lane = Lane(subject.account_sid, subject.pattern.text)
        rules = self._dependencies.destinations.book.rules_of(lane)
        if not any(
            rule.owner is SettingsOwner.OPERATOR and "notify_account" in rule.given.values
            for rule in rules
        ):
            raise given.wrong(
                "Notify needs NotifyAccount, the account whose secrets sign the operator's events"
            )


_OWN: Final = "an account can see and change only its own destinations"
_Change = Callable[[Transaction, OperationContext], StoredDestinationSettings]


def _account_of(call: ApiRequest) -> tuple[str, bool]:
    """Return the account that a request is about, or EVERY, and if it is the operator's.

    Raises InvalidParameter if the request names an account that is not its own.
    """
    return call.named_account(_OWN), signed_in(call.request).account is None


def _one_account_of(call: ApiRequest) -> str:
    return call.one_named_account(
        _OWN, "this is about one account, and an operator's key is for all"
    )
