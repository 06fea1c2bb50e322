"""Publishes what happens to the connections of Super SIMs to those who have subscribed to it.

Nothing is stored or scheduled for accounts whose subscriptions get no events. For others, a running
data session is *followed*: its record says until when its usage has been reported, and a task of
its SIM is due at the next report, even if nobody has subscribed to this type: then the next event
about the session has the usage of its own time only. If much time has passed at once, one task
makes only `MOST_WINDOWS` events, and the next task goes on.

A session is followed from its beginning, or from the creation of the first subscription. If the
policy lets subscriptions get events again, sessions are followed from their SIM's next event on.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from ringback.core.calendar import ALWAYS, INSTANT
from ringback.core.sids import SidKind
from ringback.core.sims.mobile_networks import MobileNetwork, network_with
from ringback.core.sims.scenario import CarrierFailure, TaskKind
from ringback.core.streams.event_types import StreamEventType
from ringback.core.streams.sink import StreamSubscription
from ringback.core.streams.stream_event import StreamEvent
from ringback.core.supersim.connection_event import BLOCKED, SimConnection, type_of_failure
from ringback.core.supersim.sim import SuperSim
from ringback.core.supersim.usage import SuperSimDataSession
from ringback.core.supersim.usage_windows import (
    UsageWindow,
    burst_window,
    follow,
    last_window,
    next_report,
    reported,
    skip_windows,
    whole_windows,
    window_until,
)
from ringback.operations.context import OperationContext
from ringback.operations.streams.publish import listening, publish
from ringback.ports import PageWindow, Transaction

MOST_WINDOWS: Final = 10
"""The most reports about a session that one task makes; one transaction ends up to 100 tasks."""
_SIMS_AT_ONCE: Final = 100
_NEVER: Final = ALWAYS[1]


@dataclass(frozen=True, slots=True)
class ConnectionReporter:
    """Publishes events about the connection of one SIM, at one instant."""

    tx: Transaction
    sim: SuperSim
    context: OperationContext
    subscriptions: Sequence[StreamSubscription]
    """The account's subscriptions that get events at present."""
    published: list[StreamEvent] = field(default_factory=list[StreamEvent])
    """The events that somebody gets."""

    @classmethod
    def of(cls, tx: Transaction, sim: SuperSim, context: OperationContext) -> "ConnectionReporter":
        """Return the reporter of a SIM, which needs one query."""
        return cls(tx, sim, context, listening(tx, sim.account_sid, context))

    @property
    def is_heard(self) -> bool:
        """True if the account has a subscription that gets events."""
        return bool(self.subscriptions)

    def attached(self, network: MobileNetwork) -> None:
        """Publish that the network has accepted the device."""
        self._publish(StreamEventType.ATTACHMENT_ACCEPTED, network)

    def refused(self, failure: CarrierFailure, network: MobileNetwork) -> None:
        """Publish that the device could not attach, or could not begin a data session."""
        self._publish(type_of_failure(failure), network, failure=failure)

    def began(self, session: SuperSimDataSession) -> None:
        """Publish that a session has begun, and follow it."""
        if not self.is_heard:
            return
        self._publish_session(StreamEventType.SESSION_STARTED, session)
        self._note(replace(session, reported_until=session.date_created))

    def ended(self, session: SuperSimDataSession) -> None:
        """Publish that a session has just ended, with its usage since its last report."""
        if self.is_heard:
            session = replace(session, date_ended=self.context.now)
            self._end(session if _is_followed(session) else self._followed(session))
        elif _is_followed(session):
            self._forget(session)

    def burst(self, burst: SuperSimDataSession) -> None:
        """Publish a burst of data as a session of its own, since none was running."""
        if not self.is_heard:
            return
        shown = replace(burst, date_created=self.context.now)
        self._publish_session(StreamEventType.SESSION_STARTED, shown)
        self._publish_session(
            StreamEventType.SESSION_ENDED, shown, usage=burst_window(burst), ended=self.context.now
        )

    def catch_up(self) -> None:
        """Publish the reports that are due, and the end of a session that the data limit ended."""
        for session in self.tx.supersim.sessions.followed(self.sim.sid):
            if self.is_heard:
                self._catch_up(session)
            else:
                self._forget(session)

    def catch_up_at_once(self) -> None:
        """Do the same, but with the rest of many reports in the event about the session's end."""
        self.catch_up()
        for session in self.tx.supersim.sessions.followed(self.sim.sid):
            if self._has_ended(session):
                self._end(session, modifier=BLOCKED)

    def follow_running(self) -> None:
        """Follow the SIM's running session if it is not followed yet, after catching up at once."""
        self.catch_up_at_once()
        if not self.is_heard:
            return
        for session in self.tx.supersim.sessions.of_sim(self.sim.sid, since=self.context.now):
            if not _is_followed(session):
                self._note(self._followed(session))

    def report_now(self) -> None:
        """Report the usage of running sessions now, before the next report is due."""
        self.follow_running()
        for session in self.tx.supersim.sessions.followed(self.sim.sid):
            bursts = self._bursts_of(session)
            self._note(self._updated(session, window_until(session, bursts, self.context.now)))

    @property
    def _wants_updates(self) -> bool:
        return any(StreamEventType.SESSION_UPDATED in one.types for one in self.subscriptions)

    def _catch_up(self, session: SuperSimDataSession) -> None:
        until = min(self.context.now, session.date_ended or self.context.now)
        bursts, is_done = self._bursts_of(session), True
        if self._wants_updates:
            windows = whole_windows(session, bursts, until, most=MOST_WINDOWS)
            for window in windows:
                session = self._updated(session, window)
            is_done = next_report(session) > until
        else:
            session = skip_windows(session, bursts, until)
        if is_done and self._has_ended(session):
            self._end(session, modifier=BLOCKED)
        else:
            self._note(session)

    def _has_ended(self, session: SuperSimDataSession) -> bool:
        return session.date_ended is not None and session.date_ended <= self.context.now

    def _updated(self, session: SuperSimDataSession, window: UsageWindow) -> SuperSimDataSession:
        self._publish_session(StreamEventType.SESSION_UPDATED, session, usage=window)
        return reported(session, window)

    def _end(self, session: SuperSimDataSession, *, modifier: str | None = None) -> None:
        end = session.date_ended or self.context.now
        if session.reported_until is not None:
            # A process whose clock is ahead may have made the last report.
            end = max(end, session.reported_until)
        self._publish_session(
            StreamEventType.SESSION_ENDED,
            session,
            usage=last_window(session, self._bursts_of(session), end),
            ended=end,
            modifier=modifier,
        )
        self._forget(session)

    def _note(self, session: SuperSimDataSession) -> None:
        """Save what has been reported of a session, and schedule its next report."""
        self.tx.supersim.sessions.note_report(session)
        due = next_report(session)
        if session.date_ended is not None:
            due = min(due, session.date_ended)
        self.context.put_off(self.tx, TaskKind.REPORT_USAGE, self.sim, due)

    def _forget(self, session: SuperSimDataSession) -> None:
        self.tx.supersim.sessions.note_report(
            replace(session, reported_until=None, reported_upload=0, reported_download=0)
        )
        self.tx.tasks.drop(self.sim.sid, TaskKind.REPORT_USAGE)

    def _followed(self, session: SuperSimDataSession) -> SuperSimDataSession:
        return follow(session, self._bursts_of(session), self.context.now)

    def _bursts_of(self, session: SuperSimDataSession) -> list[SuperSimDataSession]:
        """Return the bursts while a session was running, at least those since its last report.

        They were added after it: a SIM has one running session, and a burst ends at once.
        """
        since = min(session.reported_until or session.date_created, session.date_ended or _NEVER)
        found = self.tx.supersim.sessions.of_sim(self.sim.sid, since=since - INSTANT)
        later = [one.sid for one in found].index(session.sid) + 1
        return found[later:]

    def _publish_session(
        self, type_: StreamEventType, session: SuperSimDataSession, **about: Any
    ) -> None:
        network = network_with(session.network_sid)
        usage: UsageWindow | None = about.get("usage")
        at = self.context.now if usage is None else usage.end
        self._publish(type_, network, fleet_sid=session.fleet_sid, session=session, at=at, **about)

    def _publish(self, type_: StreamEventType, network: MobileNetwork | None, **about: Any) -> None:
        if not any(type_ in one.types for one in self.subscriptions):
            return
        at = about.pop("at", self.context.now)
        fleet_sid = about.pop("fleet_sid", self.sim.fleet_sid)
        connection = SimConnection.of(self.sim, fleet_sid, network, self.context.simulation)
        event = connection.event(type_, self.context.sid(SidKind.STREAM_EVENT), at, **about)
        publish(self.tx, event, self.subscriptions, self.context)
        self.published.append(event)


def report_usage(tx: Transaction, sim: SuperSim, context: OperationContext) -> None:
    """Publish the reports about a SIM's data session that are due."""
    ConnectionReporter.of(tx, sim, context).catch_up()


def follow_next_sims(tx: Transaction, sim: SuperSim, context: OperationContext) -> None:
    """Follow the running data sessions of a SIM and of some older ones, and go on with the rest."""
    subscriptions = listening(tx, sim.account_sid, context)
    if not subscriptions:
        return
    older = tx.supersim.sims.page(sim.account_sid, {}, PageWindow(_SIMS_AT_ONCE, after=sim.sid))
    for each in (sim, *older[:-1]):
        ConnectionReporter(tx, each, context, subscriptions).follow_running()
    if older:
        context.put_off(tx, TaskKind.FOLLOW_SESSIONS, older[-1], context.now)


def _is_followed(session: SuperSimDataSession) -> bool:
    return session.reported_until is not None
