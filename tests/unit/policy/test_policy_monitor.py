"""Warnings before a policy changes: in time, once each, with the affected callbacks."""

import asyncio
import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Final

import pytest

from ringback.core.callback_urls.callback_target import CallbackTarget
from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.policy.policy_impact import PolicyImpact, SelectionReason
from ringback.core.policy.source_policy import NOTICE, PhaseHold, Policy, Source
from ringback.core.policy.urls_in_use import UrlUse
from ringback.policy.active_policy import ActivePolicy
from ringback.policy.policy_monitor import PolicyMonitor
from ringback.ports import Store, Transaction
from tests.counting_store import CountingStore
from tests.fakes import ACCOUNT_SID, FakeClock, a_callback, a_fleet
from tests.memory_store import MemoryStore
from tests.policy_monitors import counted, monitor_of, running, until, version_of

TWILIO, KORE = Source.TWILIO, Source.KORE
DAY: Final = timedelta(days=1)
HOUR: Final = timedelta(hours=1)
MINUTES: Final = timedelta(minutes=5)
"""The minimum time from one count to the next."""
BETWEEN: Final = datetime(2024, 10, 16, tzinfo=UTC)
BEFORE: Final = (30 * DAY, 7 * DAY, DAY)
THEIRS: Final = "AC" + "f" * 32
NUMBERS: Final = count()


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(BETWEEN - 40 * DAY)


@pytest.fixture
def active() -> ActivePolicy:
    return ActivePolicy(NOTICE)


@pytest.fixture
def away(store: MemoryStore) -> CountingStore:
    return CountingStore(store)


@pytest.fixture
def monitor(active: ActivePolicy, away: CountingStore, clock: FakeClock) -> PolicyMonitor:
    return monitor_of(away, active, clock, before=BEFORE)


async def keep(store: Store, created: datetime, *urls: str, account_sid: str = ACCOUNT_SID) -> None:
    """Save a callback to each of these URLs, from the source in its fragment, or from twilio."""

    def work(tx: Transaction) -> None:
        for url in urls:
            source = Source(CallbackUrl.parse(url).source or TWILIO)
            sid = f"CB{next(NUMBERS):032x}"
            tx.callbacks.add(
                a_callback(sid=sid, url=url, source=source, account_sid=account_sid, now=created)
            )

    await store.transact(work)


async def set_urls(store: Store, now: datetime, *urls: str) -> None:
    """Save a fleet for each of these URLs, which was changed now."""

    def work(tx: Transaction) -> None:
        for url in urls:
            fleet = a_fleet(sid=f"HF{next(NUMBERS):032x}", unique_name=None)
            target = CallbackTarget(CallbackUrl.parse(url))
            tx.supersim.fleets.add(replace(fleet, sms_commands=target, date_updated=now))

    await store.transact(work)


def warned(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [line.getMessage() for line in caplog.records if line.levelno == logging.WARNING]


# ---- warning


async def test_each_warning_before_a_change_is_logged_once(
    monitor: PolicyMonitor, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    said = list[str]()
    async with running(monitor):
        await counted(monitor, clock.now())
        assert warned(caplog) == []
        for left in (30 * DAY, 8 * DAY, 7 * DAY, 2 * DAY, DAY, HOUR, 0 * DAY):
            clock.set(BETWEEN - left)
            await counted(monitor, clock.now())
            await asyncio.sleep(0.01)
            said += [line.partition(";")[0] for line in warned(caplog) if "default" in line]
            caplog.clear()
    moves = "policy: the default moves from twilio to kore"
    assert said == [
        f"{moves} at 2024-10-16T00:00:00Z, in 30 days",
        f"{moves} at 2024-10-16T00:00:00Z, in 7 days",
        f"{moves} at 2024-10-16T00:00:00Z, in 1 day",
        f"{moves} now, at 2024-10-16T00:00:00Z",
    ]


async def test_a_warning_comes_exactly_on_time_and_not_with_the_next_count(
    monitor: PolicyMonitor, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    clock.set(BETWEEN - DAY - timedelta(minutes=1))
    async with running(monitor):
        await until(lambda: warned(caplog))
        assert "in 1 day" in warned(caplog)[0]
        caplog.clear()
        clock.advance(timedelta(minutes=1))
        await until(lambda: warned(caplog))


async def test_a_start_near_a_change_warns_at_once_and_names_affected_accounts(
    monitor: PolicyMonitor, store: MemoryStore, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    clock.set(BETWEEN - 3 * DAY)
    urls = ("https://a.example/", "https://b.example/", "https://c.example/#cbs=kore")
    await keep(store, clock.now() - HOUR, *urls)
    await keep(store, clock.now() - 9 * DAY, "https://too-old.example/")
    async with running(monitor):
        await until(lambda: warned(caplog))
    line = next(line for line in caplog.records if "default" in line.getMessage())
    assert line.getMessage() == (
        "policy: the default moves from twilio to kore at 2024-10-16T00:00:00Z, in 3 days;"
        " it affects 2 URLs of 1 account, with 2 callbacks in the last 8 days"
    )
    told = {name: vars(line)[name] for name in ("change", "date", "seconds_left", "callbacks")}
    assert told == {
        "change": "default_moves",
        "date": "2024-10-16T00:00:00Z",
        "seconds_left": 3 * 86400,
        "callbacks": 2,
    }


async def test_a_virtual_clock_ahead_warns_earlier(
    store: MemoryStore, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    half_an_hour = HOUR / 2
    active = ActivePolicy(replace(NOTICE, ahead=40 * DAY - half_an_hour))
    monitor = monitor_of(store, active, clock)
    assert monitor.date == BETWEEN - half_an_hour
    async with running(monitor):
        await counted(monitor, clock.now())
        clock.advance(half_an_hour)
        await until(lambda: warned(caplog))
    assert "now, at 2024-10-16" in warned(caplog)[0]


async def test_a_new_policy_is_checked_as_soon_as_it_is_active(
    monitor: PolicyMonitor,
    active: ActivePolicy,
    store: MemoryStore,
    clock: FakeClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await keep(store, clock.now(), "https://a.example/")
    clock.advance(timedelta(seconds=1))
    async with running(monitor):
        await counted(monitor, clock.now())
        assert warned(caplog) == []
        end = clock.now() + 2 * DAY
        active.activate(
            version_of(Policy(NOTICE.phases, (PhaseHold("after", ACCOUNT_SID, until=end),)))
        )
        await until(lambda: warned(caplog))
        assert f"the hold of {ACCOUNT_SID} in phase 'after' ends" in warned(caplog)[0]
        assert "affects 1 URL of 1 account, with 1 callback" in warned(caplog)[0]
        assert monitor.dependents is not None
        assert monitor.dependents.on(KORE) == PolicyImpact(1, 1, 1)


# ---- counting


async def test_accounts_that_depend_on_a_source_are_counted(
    monitor: PolicyMonitor, store: MemoryStore, clock: FakeClock
) -> None:
    await keep(store, clock.now() - HOUR, *["https://a.example/"] * 2, "https://b.example/")
    await keep(store, clock.now() - 6 * DAY, "https://b.example/#cbs=kore", account_sid=THEIRS)
    await keep(store, clock.now() - 6 * DAY, "https://a.example/", account_sid=THEIRS)
    async with running(monitor):
        await counted(monitor, clock.now())
    known = monitor.dependents
    assert known is not None
    assert known.on(TWILIO) == PolicyImpact(accounts=2, urls=3, callbacks=4)
    assert known.on(TWILIO, ACCOUNT_SID) == PolicyImpact(accounts=1, urls=2, callbacks=3)
    assert known.on(KORE, THEIRS) == PolicyImpact(accounts=1, urls=1, callbacks=1)
    assert known.on(KORE, "AC" + "0" * 32) == PolicyImpact()
    assert monitor.figures().dependents == {TWILIO: 4}


async def test_it_counts_every_five_minutes(
    monitor: PolicyMonitor, away: CountingStore, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(monitor):
        await counted(monitor, clock.now())
        asked = away.asked
        clock.advance(MINUTES - timedelta(seconds=1))
        await asyncio.sleep(0.01)
        assert away.asked == asked
        clock.advance(timedelta(seconds=1))
        await counted(monitor, clock.now())
        assert away.asked == 2 * asked


async def test_it_rests_a_thousand_times_as_long_as_it_counts(
    monitor: PolicyMonitor, away: CountingStore, clock: FakeClock
) -> None:
    began = clock.now()
    away.when_asked = lambda: clock.advance(timedelta(seconds=10))
    async with running(monitor):
        await counted(monitor, began)
        took, asked = clock.now() - began, away.asked
        assert 1000 * took > HOUR
        clock.set(began + 1000 * took - timedelta(seconds=1))
        await asyncio.sleep(0.01)
        assert away.asked == asked
        clock.set(began + 1000 * took)
        await counted(monitor, began + 1000 * took)


async def test_while_no_change_is_ahead_only_stored_urls_are_counted_once_an_hour(
    monitor: PolicyMonitor,
    active: ActivePolicy,
    away: CountingStore,
    store: MemoryStore,
    clock: FakeClock,
) -> None:
    clock.set(BETWEEN + 40 * DAY)
    await keep(store, clock.now() - HOUR, "https://a.example/")
    async with running(monitor):
        await asyncio.sleep(0.01)
        assert away.asked == 0  # the start has more important work
        clock.advance(timedelta(seconds=10))
        await until(lambda: monitor.dependents)
        asked = away.asked
        clock.advance(HOUR - timedelta(seconds=1))
        await asyncio.sleep(0.01)
        assert away.asked == asked
        assert monitor.figures().dependents == {TWILIO: 0}
        clock.advance(timedelta(seconds=1))
        await counted(monitor, clock.now())
        assert away.asked == 2 * asked
        clock.advance(timedelta(seconds=1))
        active.activate(version_of(Policy(NOTICE.phases, (PhaseHold("before", ACCOUNT_SID),))))
        await counted(monitor, clock.now())
        assert monitor.figures().dependents == {TWILIO: 1}


async def test_asking_has_it_counted_earlier_but_only_for_a_hundredth_of_the_time(
    monitor: PolicyMonitor, away: CountingStore, clock: FakeClock
) -> None:
    began = clock.now()
    away.when_asked = lambda: clock.advance(timedelta(seconds=1))
    async with running(monitor):
        await counted(monitor, began)
        took, asked = clock.now() - began, away.asked
        assert 100 * took > timedelta(seconds=10)
        clock.set(began + 100 * took - timedelta(seconds=1))
        monitor.ask()
        await asyncio.sleep(0.01)
        assert away.asked == asked
        clock.set(began + 100 * took)
        monitor.ask()
        await counted(monitor, began + 100 * took)


async def test_asking_has_callbacks_counted_even_if_no_change_is_ahead(
    monitor: PolicyMonitor, store: MemoryStore, clock: FakeClock
) -> None:
    clock.set(BETWEEN + 40 * DAY)
    await keep(store, clock.now() - HOUR, "https://a.example/")
    async with running(monitor):
        await asyncio.sleep(0.01)
        clock.advance(timedelta(seconds=10))
        await until(lambda: monitor.urls)
        assert monitor.urls is not None
        assert (monitor.urls.callbacks_counted, monitor.urls.used) == (None, [])
        clock.advance(timedelta(seconds=10))
        monitor.ask()
        await counted(monitor, clock.now())
        assert monitor.urls.callbacks_counted == clock.now()
        (used,) = monitor.urls.used
        assert (used.url, used.callbacks) == ("https://a.example/", 1)
        assert monitor.urls.deliveries[ACCOUNT_SID, "https://a.example/", TWILIO].callbacks == 1
        assert (monitor.urls.of(THEIRS), monitor.urls.of(None)) == ([], monitor.urls.used)


async def test_urls_count_as_they_are_stored_now(
    monitor: PolicyMonitor, store: MemoryStore, clock: FakeClock
) -> None:
    await keep(store, clock.now() - HOUR, "https://a.example/", "https://c.example/")
    moved, default = "https://a.example/#cbs=kore", "https://b.example/"
    await set_urls(store, clock.now(), moved, default)
    async with running(monitor):
        await counted(monitor, clock.now())
    assert monitor.dependents is not None
    assert monitor.dependents.on(TWILIO) == PolicyImpact(accounts=1, urls=2, callbacks=1)
    figures = monitor.figures()
    assert figures.stored_urls == {
        (KORE, SelectionReason.ASKED): 1,
        (TWILIO, SelectionReason.DEFAULT): 1,
    }
    assert figures.dependent_urls == {(TWILIO, UrlUse.STORED): 1, (TWILIO, UrlUse.REQUESTS): 1}
    end = datetime(2024, 11, 2, tzinfo=UTC)
    assert figures.ends == {TWILIO: end.timestamp()}


async def test_the_source_of_a_stored_url_is_that_in_force_after_a_change(
    monitor: PolicyMonitor, store: MemoryStore, clock: FakeClock
) -> None:
    await set_urls(store, clock.now(), "https://b.example/")
    async with running(monitor):
        await counted(monitor, clock.now())
        clock.set(BETWEEN)
        await counted(monitor, clock.now())
    assert monitor.figures().stored_urls == {(KORE, SelectionReason.DEFAULT): 1}
    assert monitor.figures().dependent_urls[TWILIO, UrlUse.STORED] == 0


def test_before_the_first_count_no_url_is_known(monitor: PolicyMonitor) -> None:
    assert (monitor.figures().stored_urls, monitor.figures().dependent_urls) == ({}, {})


async def test_accounts_affected_by_the_last_change_are_still_known_when_it_takes_effect(
    monitor: PolicyMonitor, store: MemoryStore, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    end = datetime(2024, 11, 2, tzinfo=UTC)
    clock.set(end - HOUR / 2)
    await keep(store, clock.now() - HOUR, "https://a.example/#cbs=twilio")
    async with running(monitor):
        await until(lambda: warned(caplog))
        caplog.clear()
        clock.set(end)
        await until(lambda: warned(caplog))
    assert warned(caplog) == [
        "policy: twilio ends now, at 2024-11-02T00:00:00Z;"
        " it affects 1 URL of 1 account, with 1 callback in the last 8 days"
    ]


async def test_without_future_changes_it_sleeps(monitor: PolicyMonitor, clock: FakeClock) -> None:
    end = datetime(2024, 11, 2, tzinfo=UTC)
    clock.set(end - HOUR / 2)
    async with running(monitor):
        await counted(monitor, clock.now())
        for ahead in (HOUR, HOUR):
            clock.advance(ahead)
            await counted(monitor, clock.now())
        seen = monitor.dependents
        await asyncio.sleep(0.01)
        assert monitor.dependents is seen


async def test_an_unavailable_database_is_queried_again_later(
    monitor: PolicyMonitor, away: CountingStore, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    clock.set(BETWEEN - 3 * DAY)
    away.is_away = True
    async with running(monitor):
        await until(lambda: len(warned(caplog)) > 1)
        assert "the disk is full; the URLs and their callbacks will be counted later" in warned(
            caplog
        )
        # It still warns, without the numbers that it doesn't know.
        assert warned(caplog)[-1].endswith("in 20 days")
        assert monitor.figures().dependents == {}
        away.is_away = False
        clock.advance(HOUR)
        await counted(monitor, clock.now())


# ---- metrics -------------------------------------------------------------------------------------


def test_the_time_to_the_next_change_is_known_for_each_kind_of_change(
    monitor: PolicyMonitor, active: ActivePolicy, clock: FakeClock
) -> None:
    assert monitor.figures().seconds_to_changes == {
        "default_moves": 40 * 86400.0,
        "source_ends": 57 * 86400.0,
    }
    active.refuse("ringback.toml:1: what is this")
    assert (monitor.figures().refusals, monitor.figures().is_current) == (1, False)
    active.problem = None
    assert monitor.figures().is_current
    active.unusable = "this server can't use the policy in force"
    assert not monitor.figures().is_current
