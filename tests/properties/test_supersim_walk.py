"""Random walks through the life cycles of Super SIM, over the real operations and the real loop.

After each step the walk compares the states of all resources with the tables of allowed moves, and
the callbacks with a model of its own. The model knows the configured URLs and the statuses that it
has seen, and nothing of how the operations make callbacks.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from ringback.core.calendar import months_after
from ringback.core.callback_urls.callback_target import CallbackTarget
from ringback.core.callback_urls.callback_url import CallbackUrl, HttpMethod
from ringback.core.scheduled_task import ScheduledTask
from ringback.core.sims.message import MESSAGE_MOVES, MessageStatus, PayloadType
from ringback.core.supersim.command import IP_MOVES, IpStatus
from ringback.core.supersim.esim_profile import ESIM_MOVES, EsimStatus
from ringback.core.supersim.fleet import Fleet
from ringback.core.supersim.settings_update import SETTINGS_MOVES, OtaSettingsUpdateStatus
from ringback.core.supersim.sim import MOVES, REQUESTABLE, SimStatus, SuperSim
from ringback.core.supersim.usage import BillingPeriodType
from ringback.operations.scenario_selection import choose_scenario
from ringback.operations.supersim.commands import (
    NewIpCommand,
    NewSmsCommand,
    send_datagram,
    send_sms,
)
from ringback.operations.supersim.device_actions import (
    download_profile,
    receive_datagram,
    receive_sms,
    transfer_data,
)
from ringback.operations.supersim.esim_profiles import EsimProfileOrder, order_esim_profile
from ringback.operations.supersim.sims import (
    SuperSimUpdateRequest,
    UpdatedSuperSim,
    register_sim,
    update_sim,
)
from ringback.ports import Transaction
from tests.fakes import ACCOUNT_SID, TAKES, a_fleet, a_profile
from tests.memory_store import MemoryTransaction
from tests.properties.walking import CHILD, Walk, pauses, picks, scenarios, urls

CONNECTED: Final = (SimStatus.READY, SimStatus.ACTIVE)

FLEETS: Final = (
    a_fleet(
        sid="HF" + "1" * 32,
        unique_name="whole",
        sms_commands_url="http://sms.example",
        sms_commands_method=HttpMethod.GET,
        ip_commands_url="http://ip.example",
    ),
    a_fleet(sid="HF" + "2" * 32, unique_name="quiet", data_limit=1),
    a_fleet(sid="HF" + "3" * 32, unique_name="no-sms", sms_commands_enabled=False),
    a_fleet(
        sid="HF" + "4" * 32,
        unique_name="no-data",
        data_enabled=False,
        sms_commands_url="http://sms.example#cbs=kore",
    ),
)
REPORTED: Final = {
    "sms": {"sent", "delivered", "failed"},
    "ip": {"sent", "failed"},
    "esim": {"available", "downloaded", "failed"},
    "settings": set[str](),
}
"""The statuses that callbacks report, for each kind of resource except SIMs."""

TABLES: Final[Mapping[str, Mapping[Any, frozenset[Any]]]] = {
    "sms": MESSAGE_MOVES,
    "ip": IP_MOVES,
    "esim": ESIM_MOVES,
    "settings": SETTINGS_MOVES,
}
FIRST: Final[Mapping[str, set[Any]]] = {
    "sim": {SimStatus.NEW},
    "sms": {MessageStatus.QUEUED, MessageStatus.RECEIVED},
    "ip": {IpStatus.QUEUED, IpStatus.RECEIVED},
    "esim": {EsimStatus.NEW},
    "settings": {OtaSettingsUpdateStatus.SCHEDULED},
}
"""The statuses in which a resource may begin."""


class ExpectedCallback(NamedTuple):
    """One callback that the model expects."""

    sid: str
    status: str
    has_failed: bool
    url: str
    method: HttpMethod


@dataclass
class Asked:
    """A change of a SIM that was accepted."""

    before: tuple[SimStatus, str | None]
    """The status and the fleet that the SIM had."""
    wanted: tuple[SimStatus, str | None]
    url: CallbackUrl | None


@dataclass
class Readiness:
    """Progress of a SIM since it became ready."""

    since: datetime
    sms: int = 0
    used: int = 0

    def is_over(self, now: datetime) -> bool:
        due = months_after(self.since, months=3)
        return self.sms >= 5 or self.used >= 250_000 or now >= due


fleets = st.sampled_from([FLEETS[0], *FLEETS])


class SuperSimWalk(Walk):
    """An account with fleets and a subaccount, in which SIMs, commands and profiles change."""

    def __init__(self) -> None:
        self.cards = 0
        self.seen = dict[str, tuple[str, Any]]()
        """The kind of each resource, and its last seen status."""
        self.urls = dict[str, CallbackUrl | None]()
        """The callback URL that was given with each command or profile."""
        self.asked = dict[str, Asked]()
        self.ready = dict[str, Readiness]()
        self.expected = list[ExpectedCallback]()
        super().__init__()

    def set_up(self, tx: Transaction) -> None:
        super().set_up(tx)
        tx.supersim.access_profiles.add(a_profile())
        for fleet in FLEETS:
            tx.supersim.fleets.add(fleet)

    # Observation.

    def observe(self, tx: Transaction, task: ScheduledTask | None = None) -> None:
        """Compare the present state with the last one, and expect callbacks about the changes."""
        assert isinstance(tx, MemoryTransaction)
        now = dict(_statuses(tx))
        assert self.seen.keys() <= now.keys(), "a resource has vanished"
        for sid, (kind, status) in now.items():
            if sid not in self.seen:
                assert status in FIRST[kind], f"a {kind} begins as {status}"
            elif (before := self.seen[sid][1]) != status:
                self.moved(tx, kind, sid, before, status)
        self.seen = now
        assert [_as_expected(one) for one in tx.callbacks.callbacks.values()] == self.expected

    def moved(self, tx: MemoryTransaction, kind: str, sid: str, before: Any, status: Any) -> None:
        if kind == "sim":
            self.moved_sim(tx.supersim.sims.records[sid], before, status)
            return
        assert status in TABLES[kind][before], f"a {kind} moved from {before} to {status}"
        if status in REPORTED[kind]:
            self.expect(sid, status, self.urls[sid], has_failed=status == "failed")
        if kind == "sms" and status is MessageStatus.SENT:
            self.count(tx.supersim.sms_commands.records[sid].sim_sid, sms=1)

    def moved_sim(self, sim: SuperSim, before: SimStatus, status: SimStatus) -> None:
        if status is SimStatus.SCHEDULED:
            assert sim.sid in self.asked, "nobody has requested a change"
        elif before is SimStatus.SCHEDULED:
            asked = self.asked.pop(sim.sid)
            assert (status, sim.fleet_sid) in (asked.before, asked.wanted)
            has_failed = (status, sim.fleet_sid) != asked.wanted
            self.expect(sim.sid, status, asked.url, has_failed=has_failed)
        else:
            assert (before, status) == (SimStatus.READY, SimStatus.ACTIVE)
            assert self.ready[sim.sid].is_over(self.clock.now())
        if status is SimStatus.READY:
            self.ready.setdefault(sim.sid, Readiness(self.clock.now()))
        elif status is not SimStatus.SCHEDULED:
            self.ready.pop(sim.sid, None)

    def expect(
        self,
        sid: str,
        status: str,
        url: CallbackUrl | None,
        *,
        has_failed: bool = False,
        method: HttpMethod = HttpMethod.POST,
    ) -> None:
        if url is not None:
            self.expected.append(ExpectedCallback(sid, status, has_failed, url.wire, method))

    def count(self, sim_sid: str, *, sms: int = 0, used: int = 0) -> None:
        if self.seen[sim_sid][1] is SimStatus.READY:
            self.ready[sim_sid].sms += sms
            self.ready[sim_sid].used += used

    # Actions.

    def sim(self, pick: int) -> SuperSim:
        sims = list(self.tables.supersim.sims.records.values())
        return sims[pick % len(sims)]

    def fleet(self, sim: SuperSim) -> Fleet | None:
        return next((fleet for fleet in FLEETS if fleet.sid == sim.fleet_sid), None)

    def has_sims(self) -> bool:
        return bool(self.tables.supersim.sims.records)

    def has_profiles(self) -> bool:
        return bool(self.tables.supersim.esim_profiles.records)

    @initialize(status=st.sampled_from([None, SimStatus.READY, SimStatus.ACTIVE]), fleet=fleets)
    def begin(self, status: SimStatus | None, fleet: Fleet) -> None:
        """Begin with a SIM that is ready, and another one, which may be connected."""
        self.register()
        self.register()
        self.update(0, SimStatus.READY, FLEETS[0], None)
        if status is not None:
            self.update(1, status, fleet, None)
        self.time_passes(TAKES)

    @precondition(lambda self: self.cards < 4)
    @rule()
    def register(self) -> None:
        self.cards += 1
        iccid = f"8988307{self.cards:013}"
        refused = self.do(
            lambda tx, context: register_sim(
                tx, ACCOUNT_SID, iccid=iccid, registration_code="H3LL0W0RLD", context=context
            )
        )
        assert refused is None

    @precondition(has_sims)
    @rule(
        pick=picks, status=st.sampled_from([None, *REQUESTABLE]), fleet=st.none() | fleets, url=urls
    )
    def update(
        self, pick: int, status: SimStatus | None, fleet: Fleet | None, url: CallbackUrl | None
    ) -> None:
        sim = self.sim(pick)
        asked = SuperSimUpdateRequest(
            status=status, fleet=fleet and fleet.sid, callback=CallbackTarget(url)
        )
        to_status, to_fleet = status or sim.status, asked.fleet or sim.fleet_sid

        def learn(updated: UpdatedSuperSim) -> None:
            assert sim.status is not SimStatus.SCHEDULED or (status, fleet) == (None, None)
            if updated.is_underway:
                assert to_status is sim.status or to_status in MOVES[sim.status]
                before, wanted = (sim.status, sim.fleet_sid), (to_status, to_fleet)
                self.asked[sim.sid] = Asked(before, wanted, url)
            elif status is not None or (fleet is not None and sim.status is not SimStatus.NEW):
                assert to_status is sim.status
                self.expect(sim.sid, sim.status, url)

        refused = self.do(
            lambda tx, context: update_sim(tx, sim.account_sid, sim.sid, asked, context), learn
        )
        if refused is not None:
            is_legal = to_status is sim.status or to_status in MOVES[sim.status]
            assert (
                sim.status is SimStatus.SCHEDULED
                or not is_legal
                or to_fleet is None
                or (sim.account_sid == CHILD and fleet is not None)
            )

    @precondition(has_sims)
    @rule(pick=picks, choice=st.integers(0, 1), fleet=fleets, url=urls, then=pauses)
    def update_legally(
        self,
        pick: int,
        choice: int,
        fleet: Fleet,
        url: CallbackUrl | None,
        *,
        then: timedelta | None,
    ) -> None:
        sim = self.sim(pick)
        moves = sorted(MOVES[sim.status])
        if moves:
            of_own = None if sim.account_sid == CHILD else fleet
            self.update(pick, moves[choice % len(moves)], of_own, url)
        self.pause(then)

    @precondition(has_sims)
    @rule(pick=picks, name=st.sampled_from(["", "one", "two", "x+update-fails", "y+slow"]))
    def rename(self, pick: int, name: str) -> None:
        sim = self.sim(pick)
        others = [one for one in self.tables.supersim.sims.records.values() if one.sid != sim.sid]
        is_taken = (sim.account_sid, name) in [(one.account_sid, one.unique_name) for one in others]
        asked = SuperSimUpdateRequest(
            unique_name=name, callback=CallbackTarget(CallbackUrl.parse("http://n.example"))
        )
        refused = self.do(
            lambda tx, context: update_sim(tx, sim.account_sid, sim.sid, asked, context)
        )
        assert (refused is not None) is is_taken

    @precondition(has_sims)
    @rule(pick=picks)
    def move(self, pick: int) -> None:
        sim = self.sim(pick)
        names = [
            one.unique_name
            for one in self.tables.supersim.sims.records.values()
            if one.account_sid == CHILD and one.sid != sim.sid and one.unique_name
        ]
        refused = self.do(
            lambda tx, context: update_sim(
                tx, sim.account_sid, sim.sid, SuperSimUpdateRequest(account_sid=CHILD), context
            )
        )
        is_there = sim.account_sid == CHILD
        may_go = sim.status is SimStatus.NEW and sim.unique_name not in names
        assert (refused is None) is (is_there or may_go)

    @precondition(has_sims)
    @rule(pick=picks, scenario=scenarios, is_for_all=st.booleans())
    def choose(self, pick: int, scenario: Any, *, is_for_all: bool) -> None:
        sim = self.sim(pick)
        whose = None if is_for_all else sim.sid
        refused = self.do(
            lambda tx, context: choose_scenario(
                tx, sim.account_sid, sim=whose, scenario=scenario, context=context
            )
        )
        assert refused is None

    @precondition(has_sims)
    @rule(pick=picks, url=urls)
    def send_sms(self, pick: int, url: CallbackUrl | None) -> None:
        sim = self.sim(pick)
        refused = self.do(
            lambda tx, context: send_sms(
                tx, sim.account_sid, NewSmsCommand(sim.sid, "hi", CallbackTarget(url)), context
            ),
            lambda command: self.urls.__setitem__(command.sid, url),
        )
        assert refused is None

    @precondition(has_sims)
    @rule(pick=picks, url=urls)
    def send_datagram(self, pick: int, url: CallbackUrl | None) -> None:
        sim = self.sim(pick)
        new = NewIpCommand(sim.sid, "hi", PayloadType.TEXT, 7070, CallbackTarget(url))
        refused = self.do(
            lambda tx, context: send_datagram(tx, sim.account_sid, new, context),
            lambda command: self.urls.__setitem__(command.sid, url),
        )
        assert refused is None

    @precondition(has_sims)
    @rule(pick=picks, times=st.sampled_from([1, 5]), then=pauses)
    def device_sends_sms(self, pick: int, times: int, *, then: timedelta | None) -> None:
        for _ in range(times):
            sim = self.sim(pick)
            fleet = self.fleet(sim)

            def learn(command: Any, sim: SuperSim = sim, fleet: Fleet | None = fleet) -> None:
                assert fleet is not None
                to = fleet.sms_commands
                self.expect(command.sid, "received", to.url, method=to.method)
                self.count(sim.sid, sms=1)

            refused = self.do(lambda tx, context: receive_sms(tx, sim, "hi", context), learn)  # noqa: B023 (at once)
            may = sim.status in CONNECTED and fleet is not None and fleet.sms_commands_enabled
            assert (refused is None) is may
        self.pause(then)

    @precondition(has_sims)
    @rule(pick=picks)
    def device_sends_datagram(self, pick: int) -> None:
        sim = self.sim(pick)
        fleet = self.fleet(sim)

        def learn(command: Any) -> None:
            assert fleet is not None
            to = fleet.ip_commands
            self.expect(command.sid, "received", to.url, method=to.method)

        refused = self.do(
            lambda tx, context: receive_datagram(tx, sim, b"hi", port=7070, context=context), learn
        )
        may = sim.status in CONNECTED and fleet is not None and fleet.data_enabled
        assert (refused is None) is may or (may and fleet is FLEETS[1])

    @precondition(has_sims)
    @rule(pick=picks, count=st.sampled_from([1, 249_999, 250_000, 600_000]), then=pauses)
    def device_uses_data(self, pick: int, count: int, *, then: timedelta | None) -> None:
        sim = self.sim(pick)
        fleet = self.fleet(sim)
        refused = self.do(
            lambda tx, context: transfer_data(tx, sim, upload=count, download=0, context=context),
            lambda _: self.count(sim.sid, used=count),
        )
        may = sim.status in CONNECTED and fleet is not None and fleet.data_enabled
        assert (refused is None) is may or (may and fleet is FLEETS[1])
        self.pause(then)

    @precondition(lambda self: len(self.tables.supersim.esim_profiles.records) < 3)
    @rule(url=urls)
    def order(self, url: CallbackUrl | None) -> None:
        order = EsimProfileOrder(generates_matching_id=True, callback=CallbackTarget(url))
        refused = self.do(
            lambda tx, context: order_esim_profile(tx, ACCOUNT_SID, order, context),
            lambda profile: self.urls.__setitem__(profile.sid, url),
        )
        assert refused is None

    @precondition(has_profiles)
    @rule(pick=picks)
    def download(self, pick: int) -> None:
        profiles = list(self.tables.supersim.esim_profiles.records.values())
        profile = profiles[pick % len(profiles)]
        refused = self.do(
            lambda tx, context: download_profile(tx, ACCOUNT_SID, profile.sid, context)
        )
        assert (refused is None) is (profile.status is EsimStatus.AVAILABLE)

    def all_is_done(self) -> None:
        """Check that no due work is left: each SIM is as ready and billed as it should be."""
        now = self.clock.now()
        periods = list(self.tables.supersim.billing_periods.records.values())
        for sim in self.tables.supersim.sims.records.values():
            if sim.status is SimStatus.READY:
                assert not self.ready[sim.sid].is_over(now), "it should be active by now"
            own = [one for one in periods if one.sim_sid == sim.sid]
            current = [one for one in own if one.start_time <= now < one.end_time]
            assert len(current) == 1 or sim.status not in CONNECTED
            assert len(current) <= 1, "a month is billed twice"
            active = [one for one in own if one.period_type is BillingPeriodType.ACTIVE]
            assert all(one.end_time == months_after(one.start_time) for one in active)
        cards = [one.sim_sid for one in self.tables.supersim.settings_updates.records.values()]
        assert len(cards) == len(set(cards)), "a card gets its settings twice"

    @invariant()
    def each_available_profile_has_a_sim(self) -> None:
        profiles = self.tables.supersim.esim_profiles.records.values()
        offered = [one.sim_sid for one in profiles if one.sim_sid is not None]
        assert (
            len(offered) == len(set(offered)) == len(self.tables.supersim.sims.records) - self.cards
        )


def _statuses(tx: MemoryTransaction) -> Iterator[tuple[str, tuple[str, Any]]]:
    tables: dict[str, Any] = {
        "sim": tx.supersim.sims,
        "sms": tx.supersim.sms_commands,
        "ip": tx.supersim.ip_commands,
        "esim": tx.supersim.esim_profiles,
        "settings": tx.supersim.settings_updates,
    }
    for kind, table in tables.items():
        for record in table.records.values():
            yield record.sid, (kind, record.status)


def _as_expected(callback: Any) -> ExpectedCallback:
    told = dict(callback.parameters)
    sid = told.get("CommandSid") or told.get("EsimProfileSid") or told["SimSid"]
    status = told.get("Status") or told["SimStatus"]
    return ExpectedCallback(sid, status, "ErrorCode" in told, callback.url.wire, callback.method)


class LongSuperSimWalk(SuperSimWalk):
    """The same, in more examples."""


TestLife = SuperSimWalk.TestCase
TestLife.settings = settings(max_examples=25, stateful_step_count=50, deadline=None)
TestLongLife = pytest.mark.long(LongSuperSimWalk.TestCase)
TestLongLife.settings = settings(max_examples=250, stateful_step_count=50, deadline=None)
