"""Defines the context that operations get: time, random source, policy, queue and more."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple, TypedDict, TypeVar

from ringback.core.accounts.account import AccountOwnedRecord, NamedRecord
from ringback.core.audit import SERVER, Actor, audit_entry
from ringback.core.callback_urls.callback_target import CallbackTarget
from ringback.core.callback_urls.callback_url import CallbackUrl, HttpMethod
from ringback.core.callbacks.callback import CallbackRecord
from ringback.core.callbacks.create_callback import CALLBACK_BYTES, compose
from ringback.core.form_encoding import encode
from ringback.core.policy.source_policy import Policy
from ringback.core.scheduled_task import CarrierRequest, EitherSim, ScheduledTask, Subject
from ringback.core.sids import SID_BYTES, SidKind, dated, make_sid
from ringback.core.sims.scenario import SCENARIOS, NetworkScenario, TaskKind, scenario_in
from ringback.core.sims.simulated_network import SimulationSettings
from ringback.core.sources.source_definition import Sources
from ringback.core.streams.sink import StreamSettings
from ringback.ports import CallbackSigningKeys, NewCallbackQueue, RandomSource, Transaction

if TYPE_CHECKING:
    from ringback.core.events.payload import Event

S = TypeVar("S", bound=EitherSim)


class EffectiveScenario(NamedTuple):
    """The scenario that the simulated network uses for a SIM or account, and why, in words."""

    scenario: NetworkScenario
    reason: str


class NewRecordFields(TypedDict):
    """The fields that every new resource has."""

    sid: str
    account_sid: str
    date_created: datetime
    date_updated: datetime


@dataclass(frozen=True, slots=True)
class AccountOperationContext:
    """The dependencies of operations on accounts, which CLI commands also run without a server."""

    now: datetime
    random_source: RandomSource
    signing_keys: CallbackSigningKeys
    actor: Actor = field(default=SERVER, kw_only=True)
    """Who does what the operation does, for audit entries."""

    def record(
        self,
        tx: Transaction,
        action: str,
        subject: str,
        *,
        account_sid: str | None,
        before: object = None,
        after: object = None,
    ) -> None:
        """Add the audit entry of a change, unless nothing was changed.

        `action` is the name of the API's operation, and `subject` the SID, id or name of what is
        changed. `before` and `after` are the record, or its fields by name; None if there was none.
        """
        entry = audit_entry(
            *(self.actor, self.now, action, subject),
            account_sid=account_sid,
            before=before,
            after=after,
        )
        if entry is not None:
            tx.audit.add(entry)

    def record_of(
        self,
        tx: Transaction,
        action: str,
        *,
        before: AccountOwnedRecord | None = None,
        after: AccountOwnedRecord | None = None,
    ) -> None:
        """Do the same for a record of an account, at least one of whose states is given."""
        record = before or after
        if record is not None:
            self.record(
                *(tx, action, record.sid),
                account_sid=record.account_sid,
                before=before,
                after=after,
            )


@dataclass(frozen=True, slots=True)
class OperationContext(AccountOperationContext):
    """The dependencies of all operations, and the time at which an operation runs."""

    policy: Policy
    queue: NewCallbackQueue
    simulation: SimulationSettings
    sources: Sources
    streams: StreamSettings = field(default_factory=StreamSettings, kw_only=True)

    def sid(self, kind: SidKind) -> str:
        """Return a new SID of this kind, which contains the current time."""
        return make_sid(kind, dated(self.random_source.bytes(SID_BYTES), self.now))

    def record_fields(self, kind: SidKind, account_sid: str) -> NewRecordFields:
        """Return the fields that every new resource of an account has, with a new SID."""
        return NewRecordFields(
            sid=self.sid(kind),
            account_sid=account_sid,
            date_created=self.now,
            date_updated=self.now,
        )

    def as_asked(self, sim: S) -> S:
        """Return a SIM that says when and by whose request it is updated, if it is by a request."""
        if self.actor.id is None:
            return sim
        return replace(sim, update_asked=self.now, update_asked_by=self.actor.id)

    def emit(self, tx: Transaction, event: "Event", to: CallbackTarget) -> None:
        """Queue a callback about an event, unless `to` has no URL."""
        if to.url is None:
            return
        # Imported late: a server that sends callbacks only does not need the products' events.
        from ringback.core.events.payload import parameters_of  # noqa: PLC0415 (see above)

        body = encode(parameters_of(event))
        new = self.compose(*(body, event.account_sid, to.url, to.method), created_by=self.actor.id)
        self.queue.take(tx, new)

    def compose(
        self,
        body: str,
        account_sid: str,
        url: CallbackUrl,
        method: HttpMethod,
        *,
        due: datetime | None = None,
        idempotency_key: str | None = None,
        order_key: str | None = None,
        created_by: str | None = None,
    ) -> CallbackRecord:
        """Return a new callback with this encoded body; the caller has to save it."""
        return compose(
            body,
            account_sid=account_sid,
            to=url,
            method=method,
            policy=self.policy,
            sources=self.sources,
            random_bytes=self.random_source.bytes(CALLBACK_BYTES),
            now=self.now,
            due=due,
            created_by=created_by,
            idempotency_key=idempotency_key,
            order_key=order_key,
        )

    def begin_step(
        self, tx: Transaction, step: TaskKind, subject: AccountOwnedRecord, sim: NamedRecord | None
    ) -> None:
        """Schedule a step, such as sending an SMS, that the simulated network will carry out.

        The scenario of `sim`, or of the account if `sim` is None, decides how long the step takes.
        """
        scenario, _ = self.in_force(tx, subject.account_sid, sim)
        due = self.now + self.simulation.takes * scenario.slowness + scenario.wait_before(step)
        tx.tasks.put(ScheduledTask(step, subject.sid, subject.account_sid, due))

    def carrier_request(
        self, tx: Transaction, task: ScheduledTask, subject: Subject, sim: "EitherSim | None"
    ) -> CarrierRequest:
        """Return the network request that carries out a task.

        It includes the scenario, which decides how the simulated network answers.
        """
        scenario, _ = self.in_force(tx, task.account_sid, sim)
        return CarrierRequest(task.step, scenario, subject, sim)

    def put_off(
        self, tx: Transaction, step: TaskKind, sim: AccountOwnedRecord, until: datetime
    ) -> None:
        """Schedule a step of the record `sim` for `until`, in place of any earlier time."""
        tx.tasks.put(ScheduledTask(step, sim.sid, sim.account_sid, until))

    def in_force(
        self, tx: Transaction, account_sid: str, sim: NamedRecord | None = None
    ) -> EffectiveScenario:
        """Return the simulated network's scenario for a SIM, or for the account, and the reason.

        The first of these that gives a scenario decides: a choice for the SIM, the SIM's unique
        name, the settings for the SIM, a choice for the account, the settings for the account, the
        settings for all.
        """
        if sim is None:
            return self._in_force_for_account(tx, account_sid)
        chosen = tx.scenarios.get(sim.sid)
        if chosen is not None and chosen in SCENARIOS:
            return EffectiveScenario(SCENARIOS[chosen], "chosen for this SIM")
        named = scenario_in(sim.unique_name)
        if named is not None:
            return EffectiveScenario(named, f"the SIM's unique name ends with +{named.name}")
        if sim.sid in self.simulation.scenarios:
            return EffectiveScenario(self.simulation.scenarios[sim.sid], "set for this SIM")
        return self._in_force_for_account(tx, sim.account_sid)

    def _in_force_for_account(self, tx: Transaction, account_sid: str) -> EffectiveScenario:
        chosen = tx.scenarios.get(account_sid)
        if chosen is not None and chosen in SCENARIOS:
            return EffectiveScenario(SCENARIOS[chosen], "chosen for the account")
        whose = "the account" if account_sid in self.simulation.scenarios else "all"
        return EffectiveScenario(self.simulation.scenario_of(account_sid), f"set for {whose}")
