"""A job whose process dies anywhere is continued: each refused callback is sent again once."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringback.core.callbacks.callback import CallbackRecord, CallbackStatus
from ringback.core.http.outcome import Outcome, UnknownOutcome, answered
from ringback.core.job import Job
from ringback.core.policy.source_policy import Source
from ringback.ports import Store, Transaction
from tests.memory_store import MemoryStore, MemoryTransaction
from tests.unit.migration.sim_platform import (
    SECOND,
    Platform,
    a_platform,
    finish,
    first_step,
    number_of,
)
from tests.unit.migration.test_plan_carrier import (
    APPLY,
    CANARY,
    HANGS,
    REFUSED,
    REPLAY,
    REVERT,
    URLS,
    WENT_BACK,
)
from tests.unit.operations.test_refused_callbacks import record_attempts

QUICK = replace(CANARY, soak=3 * SECOND, least=0)


class Killed(BaseException):
    """Ends the process: no code of the project catches this exception."""


class MortalStore:
    """A store whose process dies before its Nth transaction, or after it was committed."""

    def __init__(self, store: Store, nth: int, *, commits: bool) -> None:
        self._store, self._left, self._commits = store, nth, commits

    async def transact(self, work: Callable[[Transaction], Any], **how: bool) -> Any:
        self._left -= 1
        if self._left == 0 and not self._commits:
            raise Killed
        result = await self._store.transact(work)
        if self._left == 0:
            raise Killed
        return result

    async def read(self, work: Callable[[Transaction], Any], *, asked_by: str = "") -> Any:
        return await self._store.read(work)


async def carried_out_by_mortals(
    platform: Platform, asked: Job, nth: int, *, commits: bool
) -> tuple[str | None, int]:
    """Do the work of a job in processes that die; return its end, and how many of them died.

    The first dies at its Nth transaction, and the others one transaction later each.
    """
    deaths = 0
    while True:
        store = MortalStore(platform.store, nth + deaths, commits=commits)
        try:
            return await platform.carrier(store=store).carry_out(asked, platform.clock), deaths
        except Killed:
            deaths += 1


@pytest.mark.parametrize("commits", [False, True])
@pytest.mark.parametrize("is_general", [False, True])
async def test_wherever_processes_die_each_refused_callback_is_sent_again_once(
    is_general: bool, commits: bool
) -> None:
    first = sorted(first_step(await a_platform()))
    bad = first[:5] if is_general else first[:1]
    for nth in range(1, 40):
        platform = await a_platform(dict.fromkeys(bad, REFUSED))
        asked = await platform.order(QUICK)
        why, deaths = await carried_out_by_mortals(platform, asked, nth, commits=commits)
        assert why == (WENT_BACK if is_general else None)
        await platform.deliver()
        by_kore = [
            one
            for one in await platform.callbacks()
            if number_of(one.url.shown) in bad and one.source == Source.KORE
        ]
        assert {one.status for one in by_kore} == {CallbackStatus.DISCARDED}
        again = await platform.sent_again()
        assert again.keys() >= {one.sid for one in by_kore}
        assert all(len(each) == 1 for each in again.values())
        assert (await platform.summary()).fates["sent_again"] == len(again)
        moved = set[int]() if is_general else set(range(URLS)) - set(bad)
        assert await platform.moved() == moved
        if not deaths:
            return
    raise AssertionError("it never ends")


HISTORIES = st.lists(st.sampled_from([REFUSED, HANGS, answered(504), None]), max_size=4)
"""How the attempts of a callback ended; None for one that was cut off."""


@settings(max_examples=60, deadline=None)
@given(
    histories=st.lists(HISTORIES, min_size=1, max_size=8),
    deaths=st.lists(st.tuples(st.integers(1, 9), st.booleans()), max_size=6),
    is_all=st.booleans(),
)
def test_whatever_happened_to_callbacks_and_processes_each_has_one_fate(
    histories: list[list[Outcome | None]], deaths: list[tuple[int, bool]], is_all: bool
) -> None:
    asyncio.run(_has_one_fate(histories, deaths, is_all=is_all))


async def _has_one_fate(
    histories: list[list[Outcome | None]], deaths: list[tuple[int, bool]], *, is_all: bool
) -> None:
    store = MemoryStore()
    platform = Platform(store)
    await platform.begin(1)
    await platform.carry_out(APPLY)
    await finish(platform)
    called = await platform.call(*["https://r0.example/#cbs=kore"] * len(histories))
    store.commit(lambda tx: _end(tx, called, histories))
    asked = await platform.order(REPLAY if is_all else REVERT)
    for nth, commits in deaths:
        mortal = MortalStore(store, nth, commits=commits)
        with suppress(Killed):
            await platform.carrier(store=mortal).carry_out(asked, platform.clock)
    await platform.carrier().carry_out(asked, platform.clock)
    again, listed = await platform.sent_again(), (await platform.summary()).maybe_acted_on
    for one, history in zip(called, histories, strict=True):
        known = [outcome for outcome in history if outcome is not None]
        is_refused = bool(known) and set(map(repr, known)) == {repr(REFUSED)}
        expected = 1 if is_refused or is_all else 0
        assert len(again.get(one.sid, [])) == expected
        assert (one.sid in listed) is not bool(expected)


def _end(
    tx: MemoryTransaction, called: list[CallbackRecord], histories: list[list[Outcome | None]]
) -> None:
    """Let these callbacks fail after attempts that ended like this."""
    for callback, history in zip(called, histories, strict=True):
        ended = callback.progress._replace(status=CallbackStatus.FAILED, due=None)
        tx.callbacks.change(callback.having(ended))
        record_attempts(tx, callback, [outcome or UnknownOutcome() for outcome in history])
