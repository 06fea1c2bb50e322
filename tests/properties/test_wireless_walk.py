"""Random walks through the life cycles of Programmable Wireless.

The model knows the accepted changes, and the documentation's rules with their numbers. For each
change that it sees, it knows if and when it was allowed, and the callback; for each pending change
it knows when it must come.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from ringback.core.calendar import months_after
from ringback.core.callback_urls.callback_target import (
    NO_TARGET,
    CallbackTarget,
    CallbackTargetUpdate,
)
from ringback.core.callback_urls.callback_url import CallbackUrl, HttpMethod
from ringback.core.callbacks.callback import CallbackRecord
from ringback.core.scheduled_task import ScheduledTask
from ringback.core.sims.message import MessageStatus, PayloadType
from ringback.core.sims.scenario import SCENARIOS, NetworkScenario, TaskKind
from ringback.core.wireless.command import WirelessCommand
from ringback.core.wireless.sim import WirelessSim, WirelessStatus
from ringback.operations.scenario_selection import choose_scenario
from ringback.operations.wireless.commands import NewWirelessCommand, delete_command, send_command
from ringback.operations.wireless.device_actions import receive_bytes, receive_text, transfer_data
from ringback.operations.wireless.rate_plans import delete_rate_plan
from ringback.operations.wireless.sims import (
    SimCardRegistration,
    WirelessUpdateRequest,
    delete_sim,
    register_sim,
    update_sim,
)
from ringback.ports import Transaction
from tests.fakes import ACCOUNT_SID, NOW, TAKES
from tests.memory_store import MemoryTransaction
from tests.properties.walking import CHILD, DAY, HOUR, Walk, pauses, picks, urls
from tests.wireless_fakes import a_rate_plan

NEW, READY, ACTIVE = WirelessStatus.NEW, WirelessStatus.READY, WirelessStatus.ACTIVE
SUSPENDED, DEACTIVATED = WirelessStatus.SUSPENDED, WirelessStatus.DEACTIVATED
CANCELED = WirelessStatus.CANCELED
SCHEDULED, UPDATING = WirelessStatus.SCHEDULED, WirelessStatus.UPDATING
QUEUED, SENT, FAILED = MessageStatus.QUEUED, MessageStatus.SENT, MessageStatus.FAILED
DELIVERED, RECEIVED = MessageStatus.DELIVERED, MessageStatus.RECEIVED

MAY_BECOME: Final[Mapping[WirelessStatus, set[WirelessStatus]]] = {
    NEW: {READY, ACTIVE, DEACTIVATED},
    READY: {ACTIVE, SUSPENDED, DEACTIVATED},
    ACTIVE: {SUSPENDED, DEACTIVATED},
    SUSPENDED: {ACTIVE, DEACTIVATED},
    DEACTIVATED: {ACTIVE},
    CANCELED: set(),
    SCHEDULED: set(),
    UPDATING: set(),
}
CHANGING: Final = (SCHEDULED, UPDATING)
CONNECTED: Final = (READY, ACTIVE)
FINAL: Final = {READY: ACTIVE, DEACTIVATED: CANCELED}
LIVELIEST: Final = (READY, ACTIVE, UPDATING, SCHEDULED, DEACTIVATED, SUSPENDED, NEW, CANCELED)
UNCONFIRMED: Final = ("sms-unconfirmed", "unattached")
"""The scenarios in which no receipt ever arrives."""

BEHAVIOURS: Final = (
    "update-fails",
    "operator-busy",
    "reset-fails",
    "sms-fails",
    "sms-unconfirmed",
    "unattached",
    "asleep",
    "slow",
)
"""The scenarios that have an effect on these SIMs."""

WHOLE, SMALL, ROAMING, SILENT, OFFLINE, SPARE = PLANS = (
    a_rate_plan(sid="WP" + "1" * 32, unique_name="whole"),
    a_rate_plan(sid="WP" + "2" * 32, unique_name="small", data_limit=1),
    a_rate_plan(
        sid="WP" + "3" * 32,
        unique_name="roaming",
        national_roaming_enabled=True,
        international_roaming=("data", "messaging"),
    ),
    a_rate_plan(sid="WP" + "4" * 32, unique_name="silent", messaging_enabled=False),
    a_rate_plan(sid="WP" + "5" * 32, unique_name="offline", data_enabled=False),
    a_rate_plan(sid="WP" + "6" * 32, unique_name="spare"),
)
NEVER_CALLED: Final = CallbackTarget(CallbackUrl.parse("http://never.example"))
"""Calls that cause no callback."""
BY_SID: Final = {plan.sid: plan for plan in PLANS}

targets = st.builds(CallbackTarget, urls, st.sampled_from(HttpMethod))
behaviours = st.sampled_from([None, *map(SCENARIOS.__getitem__, BEHAVIOURS)])
plans = st.sampled_from([WHOLE.sid, WHOLE.sid, *BY_SID])


class ExpectedCallback(NamedTuple):
    """One callback that the model expects."""

    sid: str
    name: str | None
    """The unique name of the SIM."""
    status: str
    code: str | None
    url: str
    method: HttpMethod


@dataclass
class Change:
    """A change of a SIM that was accepted and is pending."""

    before: tuple[WirelessStatus, str | None]
    """The status and the plan that the SIM had before."""
    wanted: tuple[WirelessStatus, str | None]
    told: CallbackTarget
    due: datetime = NOW


@dataclass
class Reset:
    """A pending reset of a SIM's connectivity."""

    told: CallbackTarget
    due: datetime


@dataclass
class Seen:
    """A SIM, as the model knows it."""

    status: WirelessStatus = NEW
    plan: str | None = None
    since: datetime = NOW
    """When it became ready or deactivated."""
    commands: int = 0
    """The number of Commands sent to it while it is ready."""
    used: int = 0
    """The number of bytes used while it is ready."""
    final_to: CallbackTarget | None = None
    change: Change | None = None
    reset: Reset | None = None

    def is_finished(self, now: datetime) -> bool:
        """Return True if it is time for the SIM's final status."""
        if self.status is READY:
            is_late = now >= months_after(self.since, months=3)
            return self.commands >= 5 or self.used >= 250_000 or is_late
        return self.status is DEACTIVATED and now >= self.since + timedelta(hours=72)


@dataclass
class Message:
    """A Command, as the model knows it."""

    status: MessageStatus
    created: datetime
    told: CallbackTarget
    wants_receipt: bool = False
    due: datetime | None = None
    """When it is due to be sent, then to be confirmed; None afterwards."""


class WirelessWalk(Walk):
    """An account with rate plans and a subaccount, in which SIMs and Commands change."""

    def __init__(self) -> None:
        self.cards = 0
        self.sims = dict[str, Seen]()
        self.messages = dict[str, Message]()
        self.chosen = dict[str, str]()
        """The chosen scenarios, by SIM and account."""
        self.uses = 0
        """How many Commands have gone to devices and come from them."""
        self.expected = list[ExpectedCallback]()
        super().__init__()

    def set_up(self, tx: Transaction) -> None:
        super().set_up(tx)
        for plan in PLANS:
            tx.wireless.rate_plans.add(plan)

    # Observation.

    def observe(self, tx: Transaction, task: ScheduledTask | None = None) -> None:
        assert isinstance(tx, MemoryTransaction)
        self.see_sims(tx)
        self.see_commands(tx, task)
        assert len(tx.wireless.command_uses.uses) == self.uses
        assert [_as_expected(one) for one in tx.callbacks.callbacks.values()] == self.expected

    def see_sims(self, tx: MemoryTransaction) -> None:
        sims = tx.wireless.sims.records
        assert self.sims.keys() <= sims.keys(), "a SIM has vanished"
        for sid, sim in sims.items():
            seen = self.sims.setdefault(sid, Seen())
            if sim.status is not seen.status:
                self.moved(sim, seen)
            if seen.reset is not None and not sim.is_resetting:
                self.reset_ended(sim, seen.reset)
                seen.reset = None
            assert sim.rate_plan_sid == seen.plan
            assert sim.is_resetting is (seen.reset is not None)

    def moved(self, sim: WirelessSim, seen: Seen) -> None:
        before, now = seen.status, self.clock.now()
        if sim.status in CHANGING:
            assert seen.change is not None, "nobody has requested a change"
            self.went_on(sim, before, seen.change)
        elif before in CHANGING:
            assert before is UPDATING
            self.change_ended(sim, seen)
        else:
            assert sim.status is FINAL[before]
            assert seen.is_finished(now), f"it was {before} for too short a time"
            self.expect(sim.sid, sim, sim.status, seen.final_to)
            seen.final_to = None
        seen.status = sim.status

    def went_on(self, sim: WirelessSim, before: WirelessStatus, change: Change) -> None:
        now, is_busy = self.clock.now(), self.in_force(sim) == "operator-busy"
        if before is SCHEDULED:
            assert sim.status is UPDATING
            assert now >= change.due, "the operator was not that quick"
        else:
            assert before is change.before[0]
            assert (sim.status is SCHEDULED) is is_busy
        change.due = now + self.takes(sim) + (HOUR if sim.status is SCHEDULED else 0 * HOUR)

    def change_ended(self, sim: WirelessSim, seen: Seen) -> None:
        change, now = seen.change, self.clock.now()
        assert change is not None
        assert now >= change.due, "the network was not that quick"
        fails = self.in_force(sim) == "update-fails"
        status, seen.plan = change.before if fails else change.wanted
        assert sim.status is status
        if status is not change.before[0]:
            seen.since, seen.commands, seen.used = now, 0, 0
            seen.final_to = change.told
        self.expect(sim.sid, sim, status, change.told, 33000 if fails else None)
        seen.change = None

    def reset_ended(self, sim: WirelessSim, reset: Reset) -> None:
        assert self.clock.now() >= reset.due, "the network was not that quick"
        code = 33000 if self.in_force(sim) == "reset-fails" else None
        self.expect(sim.sid, sim, sim.status, reset.told, code)

    def see_commands(self, tx: MemoryTransaction, task: ScheduledTask | None) -> None:
        commands, now = tx.wireless.commands.records, self.clock.now()
        for sid in self.messages.keys() - commands.keys():
            gone = self.messages.pop(sid)
            assert now >= gone.created + 30 * DAY, "a Command has vanished"
            assert gone.due is None, "a Command was deleted before its callback"
        for sid, command in commands.items():
            message, sim = self.messages[sid], tx.wireless.sims.get(command.sim_sid)
            if command.status is not message.status:
                self.went(command, sim, message)
            elif task is not None and (task.step, task.subject_sid) == (
                TaskKind.CONFIRM_COMMAND,
                sid,
            ):
                assert self.in_force(sim) in UNCONFIRMED
                self.expect_callback(command, sim, message)

    def went(self, command: WirelessCommand, sim: WirelessSim | None, message: Message) -> None:
        assert message.due is not None
        assert self.clock.now() >= message.due, "the network was not that quick"
        before, message.status = message.status, command.status
        if before is SENT:
            assert command.status is DELIVERED
            assert self.in_force(sim) not in UNCONFIRMED
            self.expect_callback(command, sim, message)
            return
        assert before is QUEUED
        assert sim is None or sim.status not in CHANGING, "it should wait for the SIM's change"
        code = self.why_not(sim)
        assert command.status is (SENT if code is None else FAILED)
        if code is None:
            self.count(command.sim_sid, commands=1)
            self.uses += 1
        if code is None and message.wants_receipt:
            message.due = self.clock.now() + self.takes(sim)
        else:
            self.expect_callback(command, sim, message, code)

    def expect_callback(
        self,
        command: WirelessCommand,
        sim: WirelessSim | None,
        message: Message,
        code: int | None = None,
    ) -> None:
        self.expect(command.sid, sim, command.status, message.told, code)
        message.due = None

    def why_not(self, sim: WirelessSim | None) -> int | None:
        """Return the error with which a Command fails at the time of sending, or None."""
        if sim is None:
            return 33107
        if sim.status not in CONNECTED:
            return 33104
        if not self.has_messages(sim):
            return 33203
        return 33000 if self.in_force(sim) == "sms-fails" else None

    def expect(
        self,
        sid: str,
        sim: WirelessSim | None,
        status: str,
        told: CallbackTarget | None,
        code: int | None = None,
    ) -> None:
        if told is not None and told.url is not None:
            name, shown = sim and sim.unique_name, None if code is None else str(code)
            self.expected.append(
                ExpectedCallback(sid, name, status, shown, told.url.wire, told.method)
            )

    def count(self, sim_sid: str, *, commands: int = 0, used: int = 0) -> None:
        seen = self.sims[sim_sid]
        if seen.status is READY:
            seen.commands += commands
            seen.used += used

    # The model's knowledge.

    def in_force(self, sim: WirelessSim | None) -> str:
        """Return the name of a SIM's scenario, or its account's if the SIM is gone."""
        if sim is None:
            return self.chosen.get(ACCOUNT_SID, "normal")
        named = "update-fails" if (sim.unique_name or "").endswith("+update-fails") else None
        if (sim.unique_name or "").endswith("+slow"):
            named = "slow"
        of_account = self.chosen.get(sim.account_sid, "normal")
        return self.chosen.get(sim.sid) or named or of_account

    def takes(self, sim: WirelessSim | None) -> timedelta:
        return TAKES * 20 if self.in_force(sim) == "slow" else TAKES

    def has_messages(self, sim: WirelessSim) -> bool:
        plan = BY_SID.get(self.sims[sim.sid].plan or "")
        return plan is not None and (
            plan.data_enabled if sim.is_narrowband else plan.messaging_enabled
        )

    def faults_in(self, sim: WirelessSim, asked: WirelessUpdateRequest) -> set[int]:
        """Return the errors with which an update may be refused."""
        seen = self.sims[sim.sid]
        wanted, plan = self.wanted_by(sim, asked)
        given = BY_SID.get(asked.rate_plan or "")
        is_change = asked.status is not None or asked.rate_plan is not None
        is_there = asked.rate_plan in self.tables.wireless.rate_plans.records
        faults = {
            33121: (asked.resets and asked.status is not None)
            or (asked.status is SUSPENDED and asked.rate_plan == ""),
            33108: bool(asked.rate_plan) and not (is_there and sim.account_sid == ACCOUNT_SID),
            33010: is_change and seen.status in CHANGING,
            33105: (sim.is_narrowband and given is ROAMING)
            or (is_change and wanted is not seen.status and wanted not in MAY_BECOME[seen.status]),
            33104: is_change and wanted in CONNECTED and plan is None,
            33120: asked.resets and seen.reset is not None,
            33119: asked.resets and seen.status not in CONNECTED,
        }
        return {code for code, is_so in faults.items() if is_so}

    def wanted_by(
        self, sim: WirelessSim, asked: WirelessUpdateRequest
    ) -> tuple[WirelessStatus, str | None]:
        """Return the status and the plan that a SIM should get."""
        seen = self.sims[sim.sid]
        plan = seen.plan if asked.rate_plan is None else asked.rate_plan or None
        return asked.status or seen.status, plan

    # Actions.

    def in_order(self) -> list[WirelessSim]:
        """Return the SIMs, starting with those that allow the most actions."""
        sims = self.tables.wireless.sims.records.values()
        return sorted(sims, key=lambda sim: LIVELIEST.index(sim.status))

    def sim(self, pick: int) -> WirelessSim:
        sims = self.in_order()
        return sims[pick % len(sims)]

    def has_sims(self) -> bool:
        return bool(self.tables.wireless.sims.records)

    def has_many_sims(self) -> bool:
        return len(self.tables.wireless.sims.records) > 2

    def has_moved(self) -> bool:
        return CHILD in [one.account_sid for one in self.tables.wireless.sims.records.values()]

    def has_commands(self) -> bool:
        return bool(self.tables.wireless.commands.records)

    @initialize(told=targets, scenario=behaviours)
    def begin(self, told: CallbackTarget, scenario: NetworkScenario | None) -> None:
        """Begin with a SIM that is ready, and another one that is new."""
        for status in (READY, None):
            self.register(status, WHOLE.sid, told, is_narrowband=False)
        self.choose(0, scenario, is_for_all=False)

    @precondition(lambda self: sum(one.status is not CANCELED for one in self.sims.values()) < 4)
    @rule(
        status=st.sampled_from([READY, READY, ACTIVE, None]),
        plan=plans,
        told=targets,
        is_narrowband=st.booleans(),
    )
    def register(
        self, status: WirelessStatus | None, plan: str, told: CallbackTarget, *, is_narrowband: bool
    ) -> None:
        """Register a SIM card, set the target of its Commands' callbacks, and update its SIM."""
        self.cards += 1
        card = SimCardRegistration(f"890134{self.cards:013}", is_narrowband=is_narrowband)
        refused = self.do(lambda tx, context: register_sim(tx, ACCOUNT_SID, card, context))
        assert refused is None
        newest = list(self.tables.wireless.sims.records.values())[-1]
        pick = self.in_order().index(newest)
        self.set_commands_target(pick, told)
        self.update(pick, status, plan, told)

    @precondition(has_sims)
    @rule(
        pick=picks,
        status=st.sampled_from([None, READY, ACTIVE, SUSPENDED, DEACTIVATED]),
        plan=st.sampled_from([None, "", *BY_SID]),
        resets=st.sampled_from([False, False, True]),
        told=targets,
    )
    def update(
        self,
        pick: int,
        status: WirelessStatus | None,
        plan: str | None,
        told: CallbackTarget,
        *,
        resets: bool = False,
    ) -> None:
        asked = WirelessUpdateRequest(status=status, rate_plan=plan, resets=resets, told=told)
        sim = self.sim(pick)
        faults, wanted = self.faults_in(sim, asked), self.wanted_by(sim, asked)

        def learn(updated: WirelessSim) -> None:
            seen = self.sims[sim.sid]
            if asked.status is not None or asked.rate_plan is not None:
                at_rest = wanted[0] is seen.status and seen.status in (NEW, CANCELED)
                if at_rest or wanted == (seen.status, seen.plan):
                    seen.plan = wanted[1]
                    self.expect(sim.sid, sim, sim.status, asked.told)
                else:
                    seen.change = Change((seen.status, seen.plan), wanted, asked.told)
            if asked.resets:
                seen.reset = Reset(asked.told, self.clock.now() + self.takes(sim))

        refused = self.do(
            lambda tx, context: update_sim(tx, sim.account_sid, sim.sid, asked, context), learn
        )
        assert (refused is not None) is bool(faults), f"{refused} for {faults}"
        assert refused is None or refused.code in faults

    @precondition(has_sims)
    @rule(pick=picks, choice=st.integers(0, 2), plan=plans, told=targets, then=pauses)
    def update_legally(
        self, pick: int, choice: int, plan: str, told: CallbackTarget, *, then: timedelta | None
    ) -> None:
        moves = sorted(MAY_BECOME[self.sims[self.sim(pick).sid].status])
        if moves:
            self.update(pick, moves[choice % len(moves)], plan, told)
        self.pause(then)

    @precondition(has_sims)
    @rule(pick=picks, plan=plans, told=targets, then=pauses)
    def change_plan(
        self, pick: int, plan: str, told: CallbackTarget, *, then: timedelta | None
    ) -> None:
        is_same = plan == self.sims[self.sim(pick).sid].plan
        self.update(pick, None, ROAMING.sid if is_same else plan, told)
        self.pause(then)

    @precondition(has_sims)
    @rule(pick=picks, told=targets, then=pauses)
    def reset(self, pick: int, told: CallbackTarget, *, then: timedelta | None) -> None:
        self.update(pick, None, None, told, resets=True)
        self.pause(then)

    @precondition(has_sims)
    @rule(pick=picks, name=st.sampled_from(["", "one", "two", "x+update-fails", "y+slow"]))
    def rename(self, pick: int, name: str) -> None:
        sim = self.sim(pick)
        others = [one for one in self.tables.wireless.sims.records.values() if one.sid != sim.sid]
        is_taken = (sim.account_sid, name) in [(one.account_sid, one.unique_name) for one in others]
        asked = WirelessUpdateRequest(unique_name=name, friendly_name=name, told=NEVER_CALLED)
        refused = self.do(
            lambda tx, context: update_sim(tx, sim.account_sid, sim.sid, asked, context)
        )
        assert (refused is not None) is is_taken

    @precondition(has_sims)
    @rule(pick=picks, to=targets)
    def set_commands_target(self, pick: int, to: CallbackTarget) -> None:
        sim = self.sim(pick)
        target_update = CallbackTargetUpdate(to.url, is_removed=to.url is None, method=to.method)
        asked = WirelessUpdateRequest(commands_to=target_update, told=NEVER_CALLED)
        refused = self.do(
            lambda tx, context: update_sim(tx, sim.account_sid, sim.sid, asked, context)
        )
        assert refused is None
        assert self.tables.wireless.sims.records[sim.sid].commands_to == to

    @precondition(lambda self: self.has_sims() and not self.has_moved())
    @rule(pick=picks)
    def move(self, pick: int) -> None:
        sim = self.sim(pick)
        names = [
            one.unique_name
            for one in self.tables.wireless.sims.records.values()
            if one.account_sid == CHILD and one.sid != sim.sid and one.unique_name
        ]
        is_there = sim.account_sid == CHILD

        def learn(_: WirelessSim) -> None:
            if not is_there:
                self.sims[sim.sid].plan = None

        asked = WirelessUpdateRequest(account_sid=CHILD, told=NEVER_CALLED)
        refused = self.do(
            lambda tx, context: update_sim(tx, sim.account_sid, sim.sid, asked, context), learn
        )
        may_go = sim.status is NEW and sim.unique_name not in names
        assert (refused is None) is (is_there or may_go)

    @precondition(has_sims)
    @rule(pick=picks, scenario=behaviours, is_for_all=st.booleans())
    def choose(self, pick: int, scenario: NetworkScenario | None, *, is_for_all: bool) -> None:
        sim = self.sim(pick)
        whose = None if is_for_all else sim.sid

        def learn(subject: str) -> None:
            self.chosen.pop(subject, None)
            if scenario is not None:
                self.chosen[subject] = scenario.name

        refused = self.do(
            lambda tx, context: choose_scenario(
                tx, sim.account_sid, sim=whose, scenario=scenario, context=context
            ),
            learn,
        )
        assert refused is None

    @precondition(has_sims)
    @rule(
        pick=picks,
        told=targets,
        wants_receipt=st.booleans(),
        times=st.sampled_from([1, 1, 2, 5]),
        then=pauses,
    )
    def send(
        self,
        pick: int,
        told: CallbackTarget,
        times: int,
        *,
        wants_receipt: bool,
        then: timedelta | None,
    ) -> None:
        for _ in range(times):
            self.send_one(self.sim(pick), told, wants_receipt=wants_receipt)
        self.pause(then)

    def send_one(self, sim: WirelessSim, told: CallbackTarget, *, wants_receipt: bool) -> None:
        def learn(command: WirelessCommand) -> None:
            now = self.clock.now()
            sleeps = DAY if self.in_force(sim) == "asleep" else 0 * DAY
            due = now + self.takes(sim) + sleeps
            self.messages[command.sid] = Message(QUEUED, now, told, wants_receipt, due)

        new = NewWirelessCommand(sim.sid, "hi", wants_receipt=wants_receipt, told=told)
        refused = self.do(
            lambda tx, context: send_command(tx, sim.account_sid, new, context), learn
        )
        assert (refused and refused.code) == self.why_not_taken(sim)

    @precondition(has_sims)
    @rule(
        pick=picks,
        mode=st.sampled_from(PayloadType),
        is_too_long=st.booleans(),
        times=st.sampled_from([1, 5]),
    )
    def device_sends(self, pick: int, mode: PayloadType, times: int, *, is_too_long: bool) -> None:
        for _ in range(times):
            self.device_sends_one(self.sim(pick), mode, is_too_long=is_too_long)

    def device_sends_one(self, sim: WirelessSim, mode: PayloadType, *, is_too_long: bool) -> None:
        payload = "x" * (161 if is_too_long else 140)

        def learn(command: WirelessCommand) -> None:
            self.messages[command.sid] = Message(RECEIVED, self.clock.now(), NO_TARGET)
            code = 33111 if is_too_long else None
            self.expect(command.sid, sim, RECEIVED, sim.commands_to, code)
            self.uses += 1

        if mode is PayloadType.TEXT:
            refused = self.do(lambda tx, context: receive_text(tx, sim, payload, context), learn)
        else:
            data = payload.encode()
            refused = self.do(lambda tx, context: receive_bytes(tx, sim, data, context), learn)
        assert (refused and refused.code) == self.why_not_taken(sim)

    def why_not_taken(self, sim: WirelessSim) -> int | None:
        """Return the error with which a Command to or from a SIM is refused at once, or None."""
        if sim.status not in CONNECTED:
            return 33104
        return None if self.has_messages(sim) else 33203

    @precondition(has_sims)
    @rule(pick=picks, count=st.sampled_from([1, 249_999, 250_000, 600_000]), then=pauses)
    def device_uses_data(self, pick: int, count: int, *, then: timedelta | None) -> None:
        sim = self.sim(pick)
        refused = self.do(
            lambda tx, context: transfer_data(tx, sim, upload=count, download=0, context=context),
            lambda _: self.count(sim.sid, used=count),
        )
        plan = BY_SID.get(self.sims[sim.sid].plan or "")
        may = sim.status in CONNECTED and plan is not None and plan.data_enabled
        assert (refused is None) is may or (may and plan is SMALL)
        self.pause(then)

    # Removals.

    @precondition(has_many_sims)
    @rule(pick=picks)
    def delete_a_sim(self, pick: int) -> None:
        sims = list(self.tables.wireless.sims.records.values())
        sim = sims[pick % len(sims)]

        def learn(_: None) -> None:
            del self.sims[sim.sid]
            self.chosen.pop(sim.sid, None)

        refused = self.do(
            lambda tx, context: delete_sim(tx, sim.account_sid, sim.sid, context), learn
        )
        if sim.status in CHANGING:
            assert refused is not None
            assert refused.code == 33010
        else:
            assert (refused and refused.code) == (33105 if sim.status in CONNECTED else None)

    @precondition(has_commands)
    @rule(pick=st.integers(0, 99))
    def delete_a_command(self, pick: int) -> None:
        commands = list(self.tables.wireless.commands.records.values())
        command = commands[pick % len(commands)]
        refused = self.do(
            lambda tx, context: delete_command(tx, command.account_sid, command.sid, context),
            lambda _: self.messages.__delitem__(command.sid),
        )
        assert refused is None

    @precondition(lambda self: SPARE.sid in self.tables.wireless.rate_plans.records)
    @rule()
    def delete_the_spare_plan(self) -> None:
        sims = self.sims.values()
        coming = [seen.change.wanted[1] for seen in sims if seen.change is not None]
        refused = self.do(lambda tx, context: delete_rate_plan(tx, ACCOUNT_SID, SPARE.sid, context))
        is_used = SPARE.sid in [*(seen.plan for seen in sims), *coming]
        assert (refused is not None) is is_used

    def all_is_done(self) -> None:
        """Check that no due work is left."""
        now = self.clock.now()
        for seen in self.sims.values():
            assert seen.change is None or seen.change.due > now, "its change should be over"
            assert seen.reset is None or seen.reset.due > now, "its reset should be over"
            assert not seen.is_finished(now), f"it should no longer be {seen.status}"
        for sid, message in self.messages.items():
            sim_sid = self.tables.wireless.commands.records[sid].sim_sid
            waits = sim_sid in self.sims and self.sims[sim_sid].change is not None
            assert message.due is None or message.due > now or waits, "it should have been sent"
            assert message.created + 30 * DAY > now or message.due is not None

    @invariant()
    def what_a_ready_sim_was_sent_is_counted(self) -> None:
        for sim in self.tables.wireless.sims.records.values():
            if sim.status is READY:
                assert sim.commands_while_ready == self.sims[sim.sid].commands

    @invariant()
    def what_is_due_is_of_something_that_is_there(self) -> None:
        there = self.tables.wireless.sims.records.keys() | self.tables.wireless.commands.records
        assert {task.subject_sid for task in self.tables.tasks.tasks.values()} <= there


def _as_expected(callback: CallbackRecord) -> ExpectedCallback:
    told = dict(callback.parameters)
    status = told.get("CommandStatus") or told["SimStatus"]
    sid, code = told.get("CommandSid") or told["SimSid"], told.get("ErrorCode")
    name = told.get("SimUniqueName")
    return ExpectedCallback(sid, name, status, code, callback.url.wire, callback.method)


class LongWirelessWalk(WirelessWalk):
    """The same, in more examples."""


TestWirelessLife = WirelessWalk.TestCase
TestWirelessLife.settings = settings(max_examples=25, stateful_step_count=50, deadline=None)
TestLongWirelessLife = pytest.mark.long(LongWirelessWalk.TestCase)
TestLongWirelessLife.settings = settings(max_examples=250, stateful_step_count=50, deadline=None)
