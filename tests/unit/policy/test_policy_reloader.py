"""A changed settings file: its policy becomes active, and all problems are logged."""

import asyncio
import logging
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from ringback.core.policy.policy_version import PolicyPart
from ringback.core.policy.source_policy import NOTICE, Phase, PhaseHold, Policy
from ringback.policy import policy_reloader as module
from ringback.policy.active_policy import ActivePolicy
from ringback.policy.policy_reloader import PolicyReloader
from ringback.ports import Store
from ringback.runtime import file_watch
from ringback.settings.setting_definitions import ServerCommand
from ringback.settings.settings_reloader import SettingsReloader
from tests.counting_store import CountingStore
from tests.fakes import FakeClock
from tests.memory_store import MemoryStore
from tests.policy_monitors import stored_in, until, version_of

HOLD = '[[holds]]\nphase = "before"\naccount_sid = "AC1"\n'
HELD = Policy(NOTICE.phases, (PhaseHold("before", "AC1"),))
LOOK_EVERY = module._LOOK_EVERY_SECONDS


@pytest.fixture(autouse=True)
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LOOK_EVERY_SECONDS", 0.01)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "ringback.toml"
    path.write_text("# nothing yet\n")
    return path


@pytest.fixture
def active() -> ActivePolicy:
    return ActivePolicy(NOTICE)


def write(file: Path, text: str | None) -> None:
    """Write this text to the file; None deletes the file."""
    if text is None:
        file.unlink()
    else:
        file.write_text(text)


@asynccontextmanager
async def reloading(
    file: Path,
    active: ActivePolicy,
    command: ServerCommand = ServerCommand.SERVE,
    *,
    store: Store | None = None,
    clock: FakeClock | None = None,
    **flags: str,
) -> AsyncGenerator[PolicyReloader]:
    clock = clock or FakeClock()
    source = SettingsReloader({"settings": str(file), **flags}, {}, command)
    settings, stored = source.load(), stored_in(store or MemoryStore(), active, clock)
    await stored.offer(settings.policy_part)
    reload = partial(source.reload_policy, settings)
    looking = PolicyReloader(str(file), reload, stored, clock=clock)
    loop = asyncio.create_task(looking.run())
    try:
        yield looking
    finally:
        loop.cancel()
        await asyncio.gather(loop, return_exceptions=True)


def logged(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    return [line.getMessage() for line in caplog.records if line.levelno == level]


async def test_a_changed_file_activates_its_policy(
    file: Path, active: ActivePolicy, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with reloading(file, active):
        write(file, HOLD)
        await until(lambda: active.policy == HELD)
    assert logged(caplog, logging.INFO) == [f"the policy of {file} is active now"]
    assert logged(caplog, logging.WARNING) == []


async def test_a_file_that_was_replaced_is_noticed(file: Path, active: ActivePolicy) -> None:
    other = file.with_name("other.toml")
    write(file, "#" * (len(HOLD) - 1) + "\n")
    write(other, HOLD)
    for each in (file, other):
        os.utime(each, (1_700_000_000, 1_700_000_000))
    async with reloading(file, active):
        other.replace(file)
        await until(lambda: active.policy == HELD)


async def test_a_file_that_is_being_written_is_not_read(
    file: Path, active: ActivePolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0

    def state(_: Path) -> tuple[int, int, int]:
        """Make the file grow at each of twenty checks."""
        nonlocal looks
        looks += 1
        write(file, HOLD if looks >= 20 else "[[hol")
        return 0, 0, min(looks, 20)

    async with reloading(file, active):
        monkeypatch.setattr(file_watch, "_state_of", state)
        await until(lambda: active.policy == HELD)
    assert (active.refusals, looks > 20) == (0, True)


async def test_a_change_takes_two_checks_which_need_less_than_a_second(
    file: Path, active: ActivePolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Taking:
        """Notes how many looks there were when a policy was offered."""

        def __init__(self, active: ActivePolicy) -> None:
            self.active = active

        async def offer(self, part: PolicyPart) -> None:
            looks_when_taken.append(len(looks))

    looks, looks_when_taken = list[None](), list[int]()
    state = file_watch._state_of
    monkeypatch.setattr(file_watch, "_state_of", lambda path: (looks.append(None), state(path))[1])
    async with reloading(file, active) as looking:
        monkeypatch.setattr(looking, "_stored", Taking(active))
        looks.clear()
        write(file, HOLD)
        await until(lambda: looks_when_taken)
    # The third check makes sure that nobody wrote to the file while it was read.
    assert (looks_when_taken, 2 * LOOK_EVERY < 1) == ([3], True)


async def test_a_file_that_changes_while_it_is_read_is_read_again(
    file: Path, active: ActivePolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = MemoryStore()
    async with reloading(file, active, store=store) as looking:
        load = vars(looking)["_load"]

        def load_and_write() -> object:
            settings = load()
            if "before" not in file.read_text():
                write(file, f"# now whole\n{HOLD}")
            return settings

        monkeypatch.setattr(looking, "_load", load_and_write)
        write(file, HOLD.replace("before", "after"))
        await until(lambda: active.policy == HELD)
    assert active.number == 2


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (f'{HOLD}until = "soon"', ":4: until: 'soon' is not a date"),
        (f"{HOLD}what is this", ":4: this is not TOML"),
        ("port = 70000", ":1: port = 70000: '70000' is not a port"),
        (None, "can't be read: No such file or directory"),
    ],
)
async def test_an_unusable_file_changes_nothing_and_is_reported_once(
    text: str | None,
    problem: str,
    file: Path,
    active: ActivePolicy,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    async with reloading(file, active):
        write(file, text)
        await until(lambda: active.problem)
        await asyncio.sleep(0.03)
        assert active.policy == NOTICE
        (line,) = logged(caplog, logging.ERROR)
        assert line.startswith("the changed policy is not valid, so the old one stays active: ")
        assert problem in line
        assert str(file) in line
        assert active.refusals == 1

        write(file, "# as it was\n")
        await until(lambda: active.problem is None)
    assert logged(caplog, logging.INFO) == [f"the policy of {file} is active now"]


async def test_a_file_that_was_seen_before_changes_nothing_and_is_behind(
    file: Path, active: ActivePolicy, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with reloading(file, active):
        write(file, HOLD)
        await until(lambda: active.policy == HELD)
        write(file, "# as it was\n")
        await until(lambda: active.behind)
        assert (active.policy, active.number, active.problem) == (HELD, 2, None)
        write(file, "[[hol")
        await until(lambda: active.problem)
        write(file, "# as it was at first\n")
        await until(lambda: active.problem is None)
        write(file, f"{HOLD}# with a comment\n")
        await until(lambda: active.behind is None)
        assert (active.policy, active.number) == (HELD, 2)
    (line,) = logged(caplog, logging.WARNING)
    assert line.startswith("KORE's notice is behind: it has the policy of version 1, and version 2")
    assert logged(caplog, logging.INFO) == [f"the policy of {file} is active now"]


async def test_a_policy_is_stored_when_the_database_is_available_again(
    file: Path, active: ActivePolicy
) -> None:
    store, clock = CountingStore(MemoryStore()), FakeClock()
    async with reloading(file, active, store=store, clock=clock):
        store.is_away, asked = True, store.asked
        write(file, HOLD)
        await until(lambda: store.asked > asked)
        assert active.policy == NOTICE
        store.is_away = False
        clock.advance(timedelta(seconds=1))
        await until(lambda: active.policy == HELD)


async def test_a_newest_version_that_can_not_be_used_is_logged(
    file: Path, active: ActivePolicy, caplog: pytest.LogCaptureFixture
) -> None:
    store = MemoryStore()
    acme = Policy((Phase("all", None, "acme", frozenset({"acme"})),))
    async with reloading(file, active, store=store):
        await store.transact(lambda tx: tx.policies.add(version_of(acme, 2)))
        write(file, "backlog = 7\n")
        await until(lambda: active.unusable)
        assert active.policy == NOTICE
    assert logged(caplog, logging.ERROR) == [
        f"{active.unusable}; until then, the old policy stays active"
    ]


async def test_other_changed_settings_need_a_restart_and_are_named_once(
    file: Path, active: ActivePolicy, caplog: pytest.LogCaptureFixture
) -> None:
    async with reloading(file, active):
        write(file, f"backlog = 10\nport = 7777\n{HOLD}")
        await until(lambda: active.policy == HELD)
        write(file, f"backlog = 11\nport = 7777\n{HOLD}until = 2999-01-01\n")
        await until(lambda: active.policy.holds[0].until)
    assert logged(caplog, logging.WARNING) == [
        f"{file}: restart the server to apply the changes of port, backlog"
    ]


async def test_a_new_source_needs_a_restart_before_a_policy_can_use_it(
    file: Path, active: ActivePolicy
) -> None:
    async with reloading(file, active):
        write(
            file,
            '[[phases]]\nname = "all"\ndefault = "acme"\nmay_ask = ["acme"]\n'
            '[sources.acme]\nsignature = "hmac-sha256"\ntoken = "{uuid}"\n'
            'headers = ["X-Token: {token}", "X-Signature: {signature}"]\n',
        )
        await until(lambda: active.problem)
    assert active.problem == f"{file}: the policy has new sources, which need a restart: acme"
    assert active.policy == NOTICE


async def test_a_request_to_reload_checks_at_once(
    file: Path, active: ActivePolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LOOK_EVERY_SECONDS", 3600)
    async with reloading(file, active) as looking:
        write(file, HOLD)
        await asyncio.sleep(0.03)
        assert active.policy == NOTICE
        looking.look_now()
        await until(lambda: active.policy == HELD)
        reads = list[None]()
        monkeypatch.setattr(looking, "_load", lambda: reads.append(None))
        await asyncio.sleep(0.03)
        assert reads == []


async def test_a_phase_fixed_by_dev_stays(file: Path) -> None:
    active = ActivePolicy(NOTICE, phase="between")
    async with reloading(file, active, ServerCommand.DEV, phase="between"):
        write(file, HOLD)
        await until(lambda: active.policy == HELD.held_in("between"))
