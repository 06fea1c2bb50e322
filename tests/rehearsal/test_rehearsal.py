"""A whole move: 5,000 URLs through the three phases of the notice, with traffic all the time."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ringback.core.callback import UNDELIVERED, Callback
from ringback.core.source import Source
from ringback.migration.applying import Ended, Move
from ringback.migration.canary import look_at
from ringback.migration.journal import Journal, journal_of
from ringback.migration.plan import Plan, make_plan
from ringback.migration.records.store import StoreRecord
from ringback.migration.standing import Standing
from ringback.migration.watching import Canary
from ringback.ports import CallbackFilter
from tests.rehearsal.receivers import Kind
from tests.rehearsal.world import URLS, World, a_world

SOAK = timedelta(hours=1)
BETWEEN, AFTER = datetime(2024, 10, 16, tzinfo=UTC), datetime(2024, 11, 2, tzinfo=UTC)


class Rehearsal:
    """An operator, with a plan."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world = world
        self.record = StoreRecord(world.parts.store, folder="", clock=world.clock)
        self.path = folder / "plan.jsonl"

    async def plan(self) -> Plan:
        plan = make_plan(
            await self.record.entries(),
            to=Source.KORE,
            record=self.record.source,
            phase="before",
            now=self.world.clock.now(),
            plan_id="rehearsal",
        )
        plan.write(self.path)
        return Plan.read(self.path)

    async def apply(self, plan: Plan) -> Ended:
        """Apply the plan as a command does, each time anew, while events go on."""
        gate, canary = None, Canary((10,), SOAK, self.record, look_at)
        with Journal(journal_of(self.path), plan_id=plan.id) as journal:
            move = Move(plan, self.record, journal, self.world.clock, tell=lambda _: None)
            task = asyncio.create_task(move.apply(gate=gate, canary=canary))
            await self.world.traffic_until(task, events=URLS // 15)
            return task.result()

    async def revert(self, plan: Plan) -> None:
        with Journal(journal_of(self.path), plan_id=plan.id) as journal:
            await Move(plan, self.record, journal, self.world.clock, tell=lambda _: None).revert()

    async def standings(self, plan: Plan) -> dict[Kind, Counter[Standing]]:
        with Journal(journal_of(self.path), plan_id=plan.id) as journal:
            move = Move(plan, self.record, journal, self.world.clock, tell=lambda _: None)
            stands = await move.stands()
        kinds = self.world.receivers.kinds
        found = {kind: Counter[Standing]() for kind in Kind}
        for stand in stands.values():
            found[kinds["/r/" + _number(stand.edit.old)]][stand.standing] += 1
        return found


def _number(url: str) -> str:
    return url.partition("/r/")[2].partition("#")[0]


async def urls_of(record: StoreRecord) -> dict[str, str]:
    return {entry.place.name: entry.url for entry in await record.entries()}


@pytest.mark.timeout(240)
async def test_5000_urls_are_moved_and_brought_back_and_not_one_callback_is_lost(
    tmp_path: Path,
) -> None:
    async with a_world(tmp_path / "data") as world:
        rehearsal = Rehearsal(world, tmp_path)
        at_first = await urls_of(rehearsal.record)
        assert len(at_first) == URLS

        # Until October 15: moved by plan, a tenth first.
        await world.traffic(URLS)
        plan = await rehearsal.plan()
        assert len(plan.edits) == URLS
        endings = [await rehearsal.apply(plan) for _ in range(3)]
        # The fragile ones are found by their deliveries: in the tenth, and then in the rest.
        assert endings == [Ended.WENT_BACK, Ended.WENT_BACK, Ended.DONE]
        standings = await rehearsal.standings(plan)
        for kind, standing in (
            (Kind.BOTH, Standing.MOVED),
            (Kind.KORE, Standing.MOVED),
            (Kind.TWILIO, Standing.SKIPPED),
            (Kind.FRAGILE, Standing.BEHIND),
        ):
            kinds = list(world.receivers.kinds.values())
            assert standings[kind] == {standing: kinds.count(kind)}

        # After it, and after November 1.
        for date in (BETWEEN, AFTER):
            await world.advance(date - world.clock.now())
            await world.traffic(URLS)

        await rehearsal.revert(plan)
        assert await urls_of(rehearsal.record) == at_first
        await world.traffic(URLS // 10)
        await world.advance(timedelta(hours=1))
        await nothing_is_lost(world)


async def callbacks_of(world: World, account_sid: str) -> list[Callback]:
    """Return all callbacks of an account, the oldest first."""
    found, which = list[Callback](), CallbackFilter()
    while True:
        after = found[-1].sid if found else None
        page = await world.parts.store.transact(
            lambda tx, after=after: tx.callbacks.oldest(account_sid, which, after=after, limit=1000)
        )
        if not page:
            return found
        found += page


async def nothing_is_lost(world: World) -> None:
    """See that each event was worked on once, or is listed as undelivered; and none twice."""
    delivered, undelivered = Counter[str](), Counter[str]()
    requests = Counter[str]()
    for account in world.accounts:
        for callback in await callbacks_of(world, account.sid):
            payload = dict(callback.parameters)["Payload"]
            assert callback.progress.is_ended, callback.sid
            requests[callback.url.path] += callback.progress.attempt_count
            is_lost = callback.status in UNDELIVERED
            (undelivered if is_lost else delivered)[payload] += 1
    assert delivered.keys() | undelivered.keys() == world.told.keys()
    assert set((delivered + undelivered).values()) == {1}
    worked = Counter[str]()
    for path, effects in world.receivers.effects.items():
        worked += effects
        assert all(world.told[event].path == path for event in effects)
    assert worked == delivered
    # What is listed as undelivered is of receivers that refuse the source that it came from.
    kinds = Counter(world.told[event].kind for event in undelivered)
    assert set(kinds) == {Kind.TWILIO, Kind.KORE, Kind.FRAGILE}
    assert requests == world.receivers.requests
    assert world.receivers.repeats > 0
