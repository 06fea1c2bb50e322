"""The reference model of a store: plain dictionaries, nothing durable.

It says in the fewest words what every other store has to do; they are compared with it.
"""

import copy
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Generic, TypeVar

from ringback.core.access_profile import NetworkAccessProfile
from ringback.core.account import Account, ApiKey
from ringback.core.billing import BillingPeriod
from ringback.core.callback import Attempt, Callback, Progress, begin, put_back
from ringback.core.command import IpCommand, SmsCommand
from ringback.core.errors import Invalid
from ringback.core.esim_profile import EsimProfile
from ringback.core.fleet import Fleet
from ringback.core.scenario import Step
from ringback.core.settings_update import SettingsUpdate
from ringback.core.sim import Sim
from ringback.core.sim_update import SimUpdate
from ringback.core.task import Task
from ringback.core.usage import DataSession
from ringback.ports import (
    Afterwards,
    CallbackFilter,
    Claim,
    Lane,
    Settlement,
    Transaction,
    Waiting,
    Which,
    Window,
    lane_of,
    nothing,
)
from ringback.ports.records import N, R

T = TypeVar("T")


@dataclass
class MemoryAccounts:
    """Answers `ports.Accounts`."""

    accounts: dict[str, Account] = field(default_factory=dict[str, Account])
    keys: dict[str, ApiKey] = field(default_factory=dict[str, ApiKey])

    def add(self, account: Account, keys: Sequence[ApiKey]) -> None:
        self.accounts[account.sid] = account
        self.keys |= {key.sid: key for key in keys}

    def get(self, sid: str) -> Account | None:
        return self.accounts.get(sid)

    def all(self) -> list[Account]:
        return list(self.accounts.values())

    def save(self, account: Account) -> None:
        self.accounts[account.sid] = account

    def key(self, sid: str) -> ApiKey | None:
        return self.keys.get(sid)

    def keys_of(self, account_sid: str) -> list[ApiKey]:
        return [key for key in self.keys.values() if key.account_sid == account_sid]


@dataclass
class MemoryRecords(Generic[R]):
    """Answers `ports.Records`."""

    records: dict[str, R] = field(default_factory=dict[str, R])

    def add(self, record: R) -> None:
        self.records[record.sid] = record

    def save(self, record: R) -> None:
        self.records[record.sid] = record

    def get(self, sid: str) -> R | None:
        return self.records.get(sid)

    def first(self, which: Which) -> R | None:
        return next((one for one in self.records.values() if _has(one, which)), None)

    def page(self, account_sid: str, which: Which, window: Window) -> list[R]:
        own = _of(account_sid, self.records.values())
        return _page(own, lambda record: _has(record, which), window)


@dataclass
class MemoryNamedRecords(MemoryRecords[N]):
    """Answers `ports.NamedRecords`."""

    def find(self, account_sid: str, sid_or_name: str) -> N | None:
        own = _of(account_sid, self.records.values())
        by_sid = [record for record in own if record.sid == sid_or_name]
        by_name = [record for record in own if record.unique_name == sid_or_name]
        return next(iter(by_sid + by_name), None)


@dataclass
class MemorySimUpdates:
    """Answers `ports.SimUpdates`."""

    updates: dict[str, SimUpdate] = field(default_factory=dict[str, SimUpdate])

    def add(self, update: SimUpdate) -> None:
        self.updates[update.sim_sid] = update

    def get(self, sim_sid: str) -> SimUpdate | None:
        return self.updates.get(sim_sid)

    def end(self, sim_sid: str) -> None:
        self.updates.pop(sim_sid, None)


@dataclass
class MemorySessions:
    """Answers `ports.Sessions`."""

    sessions: dict[str, DataSession] = field(default_factory=dict[str, DataSession])

    def add(self, session: DataSession) -> None:
        self.sessions[session.sid] = session

    def get(self, sid: str) -> DataSession | None:
        return self.sessions.get(sid)

    def end(self, sid: str, at: datetime | None) -> None:
        self.sessions[sid] = replace(self.sessions[sid], date_ended=at)

    def of_sim(self, sim_sid: str, *, since: datetime) -> list[DataSession]:
        own = [session for session in self.sessions.values() if session.sim_sid == sim_sid]
        return [one for one in own if one.date_ended is None or one.date_ended > since]

    def between(
        self, account_sid: str, which: Which, start: datetime, end: datetime, window: Window
    ) -> list[DataSession]:
        def is_wanted(session: DataSession) -> bool:
            is_over = session.date_ended is not None and session.date_ended <= start
            return session.date_created < end and not is_over and _has(session, which)

        return _page(_of(account_sid, self.sessions.values()), is_wanted, window)


@dataclass
class MemoryScenarios:
    """Answers `ports.Choices`."""

    names: dict[str, str] = field(default_factory=dict[str, str])

    def put(self, subject_sid: str, name: str | None) -> None:
        self.names.pop(subject_sid, None)
        if name is not None:
            self.names[subject_sid] = name

    def get(self, subject_sid: str) -> str | None:
        return self.names.get(subject_sid)


@dataclass
class MemoryTasks:
    """Answers `ports.Tasks`."""

    tasks: dict[tuple[str, Step], Task] = field(default_factory=dict[tuple[str, Step], Task])

    def put(self, task: Task) -> None:
        # At the end of those that are due at the same instant.
        self.drop(task.subject_sid, task.step)
        self.tasks[task.subject_sid, task.step] = task

    def due(self, now: datetime, *, limit: int) -> list[Task]:
        due = [task for task in self.tasks.values() if task.due <= now]
        return sorted(due, key=lambda task: task.due)[:limit]

    def next_due(self) -> datetime | None:
        return min((task.due for task in self.tasks.values()), default=None)

    def due_of(self, subject_sid: str, step: Step) -> datetime | None:
        task = self.tasks.get((subject_sid, step))
        return task and task.due

    def take(self, task: Task) -> bool:
        if self.tasks.get((task.subject_sid, task.step)) != task:
            return False
        self.drop(task.subject_sid, task.step)
        return True

    def drop(self, subject_sid: str, step: Step) -> None:
        self.tasks.pop((subject_sid, step), None)


@dataclass
class MemoryCallbacks:
    """Answers `ports.Callbacks`."""

    accounts: MemoryAccounts
    callbacks: dict[str, Callback] = field(default_factory=dict[str, Callback])
    rows: dict[tuple[str, int], Attempt] = field(default_factory=dict[tuple[str, int], Attempt])

    def add(self, callback: Callback) -> None:
        self._keep(callback, callback.progress)

    def get(self, account_sid: str, sid: str) -> Callback | None:
        callback = self.callbacks.get(sid)
        return callback if callback and callback.account_sid == account_sid else None

    def with_key(self, account_sid: str, idempotency_key: str) -> Callback | None:
        own = _of(account_sid, self.callbacks.values())
        return next((one for one in own if one.idempotency_key == idempotency_key), None)

    def page(self, account_sid: str, which: CallbackFilter, window: Window) -> list[Callback]:
        own = _of(account_sid, self.callbacks.values())
        return _page(own, lambda callback: _is_wanted(callback, which), window)

    def oldest(
        self, account_sid: str, which: CallbackFilter, *, after: str | None, limit: int
    ) -> list[Callback]:
        own = _of(account_sid, self.callbacks.values())
        sids = [callback.sid for callback in own]
        start = sids.index(after) + 1 if after in sids else 0
        return [callback for callback in own[start:] if _is_wanted(callback, which)][:limit]

    def attempts(self, callback_sid: str) -> list[Attempt]:
        return [row for row in self.rows.values() if row.callback_sid == callback_sid]

    def change(self, callback: Callback) -> None:
        self.callbacks[callback.sid] = callback

    def claim(self, lane: Lane, now: datetime, *, limit: int) -> list[Claim]:
        due = [(at, callback) for at, callback in self._in_lane(lane) if at <= now]
        taken = [callback for _, callback in sorted(due, key=lambda pair: pair[0])[:limit]]
        return [self._claim(callback, now) for callback in taken]

    def settle(self, settlements: Sequence[Settlement]) -> None:
        for callback, attempt, progress in settlements:
            self.rows[callback.sid, attempt.number] = attempt
            self._keep(callback, progress)

    def put_back(self, claims: Sequence[Claim], now: datetime) -> None:
        for callback, progress, _ in claims:
            self.callbacks[callback.sid] = callback.having(put_back(progress, now))
            del self.rows[callback.sid, progress.attempt_count]

    def left_open(self) -> list[Claim]:
        under_way = [one for one in self.callbacks.values() if one.progress.is_under_way]
        return [self._claim_of(callback, callback.progress) for callback in under_way]

    def next_due(self, lane: Lane) -> datetime | None:
        return min((at for at, _ in self._in_lane(lane)), default=None)

    def waiting(self) -> list[Waiting]:
        lanes = {lane_of(callback) for callback in self.callbacks.values()}
        due = [(lane, self.next_due(lane)) for lane in sorted(lanes)]
        return [Waiting(lane, at) for lane, at in due if at is not None]

    def unfinished(self) -> dict[str, int]:
        unfinished = [one for one in self.callbacks.values() if not one.progress.is_ended]
        return dict(Counter(callback.account_sid for callback in unfinished))

    def due_before(self, instants: Sequence[datetime]) -> list[int]:
        dues = [one.progress.due for one in self.callbacks.values() if one.progress.due]
        return [sum(due < instant for due in dues) for instant in instants]

    def _in_lane(self, lane: Lane) -> list[tuple[datetime, Callback]]:
        own = [one for one in self.callbacks.values() if lane_of(one) == lane]
        return [(one.progress.due, one) for one in own if one.progress.due is not None]

    def _claim(self, callback: Callback, now: datetime) -> Claim:
        limit = callback.url.connection.total_timeout
        progress = begin(callback.progress, now, total_timeout=limit)
        self._keep(callback, progress)
        return self._claim_of(callback, progress)

    def _claim_of(self, callback: Callback, progress: Progress) -> Claim:
        return Claim(callback, progress, self.accounts.accounts[callback.account_sid])

    def _keep(self, callback: Callback, progress: Progress) -> None:
        self.callbacks[callback.sid] = callback.having(progress)
        if progress.is_under_way:
            attempt = self._claim_of(callback, progress).attempt
            self.rows[callback.sid, attempt.number] = attempt


def _is_wanted(callback: Callback, which: CallbackFilter) -> bool:
    created = callback.date_created
    return (
        (which.statuses is None or callback.status in which.statuses)
        and which.source in (None, callback.source)
        and which.idempotency_token in (None, callback.idempotency_token)
        and which.destination in (None, callback.url.destination)
        and (which.since is None or which.since <= created)
        and (which.until is None or created < which.until)
    )


class MemoryTransaction:
    """Answers `ports.Transaction`."""

    def __init__(self) -> None:
        self.accounts = MemoryAccounts()
        self.access_profiles = MemoryNamedRecords[NetworkAccessProfile]()
        self.fleets = MemoryNamedRecords[Fleet]()
        self.sims = MemoryNamedRecords[Sim]()
        self.sim_updates = MemorySimUpdates()
        self.sms_commands = MemoryRecords[SmsCommand]()
        self.ip_commands = MemoryRecords[IpCommand]()
        self.esim_profiles = MemoryRecords[EsimProfile]()
        self.settings_updates = MemoryRecords[SettingsUpdate]()
        self.billing_periods = MemoryRecords[BillingPeriod]()
        self.sessions = MemorySessions()
        self.scenarios = MemoryScenarios()
        self.tasks = MemoryTasks()
        self.callbacks = MemoryCallbacks(self.accounts)
        self.endings: list[Afterwards] = []

    def write_nothing(self) -> None:
        pass

    def afterwards(
        self, durable: Callable[[], None], *, undone: Callable[[], None] = nothing
    ) -> None:
        self.endings.append(Afterwards(durable, undone))


class MemoryStore:
    """Answers `ports.Store`."""

    def __init__(self) -> None:
        self._tables = MemoryTransaction()

    async def transact(self, work: Callable[[Transaction], T]) -> T:
        """Run the work on a copy, and keep the copy if it succeeds."""
        tables = copy.deepcopy(self._tables)
        endings = tables.endings
        try:
            result = work(tables)
        except Exception:
            for ending in endings:
                ending.undone()
            raise
        tables.endings = []
        self._tables = tables
        for ending in endings:
            ending.durable()
        return result


def _of(account_sid: str, records: Iterable[R]) -> list[R]:
    return [record for record in records if record.account_sid == account_sid]


def _has(record: object, which: Which) -> bool:
    return all(value is None or getattr(record, name) == value for name, value in which.items())


def _page(records: Iterable[R], is_wanted: Callable[[R], bool], window: Window) -> list[R]:
    newest_first = list(records)[::-1]
    sids = [record.sid for record in newest_first]
    edge = window.after if window.before is None else window.before
    if edge is not None and edge not in sids:
        raise Invalid(f"PageToken: there is no record {edge} in this list", code=83600)
    if window.before is not None:
        newer = [
            record for record in newest_first[: sids.index(window.before)] if is_wanted(record)
        ]
        return newer[-window.size :]
    start = 0 if window.after is None else sids.index(window.after) + 1
    return [record for record in newest_first[start:] if is_wanted(record)][: window.size]
