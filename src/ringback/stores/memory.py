"""The reference model of a store: plain dictionaries, nothing durable.

It says in the fewest words what every other store has to do; they are compared with it.
"""

import copy
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, TypeVar

from ringback.core.account import Account, ApiKey
from ringback.core.callback import Attempt, Callback, Progress, begin, put_back
from ringback.core.errors import Invalid
from ringback.core.sim import Fleet, Sim
from ringback.core.sim_update import SimUpdate
from ringback.ports import (
    CallbackFilter,
    Claim,
    Ending,
    Lane,
    Settlement,
    SimFilter,
    Transaction,
    Waiting,
    Window,
    lane_of,
    nothing,
)

T = TypeVar("T")


class _Owned(Protocol):
    @property
    def sid(self) -> str: ...
    @property
    def account_sid(self) -> str: ...


class _Named(_Owned, Protocol):
    @property
    def unique_name(self) -> str | None: ...


N = TypeVar("N", bound=_Named)
R = TypeVar("R", bound=_Owned)


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
class MemoryFleets:
    """Answers `ports.Fleets`."""

    fleets: dict[str, Fleet] = field(default_factory=dict[str, Fleet])

    def add(self, fleet: Fleet) -> None:
        self.fleets[fleet.sid] = fleet

    def find(self, account_sid: str, sid_or_name: str) -> Fleet | None:
        return _find(self.fleets.values(), account_sid, sid_or_name)


@dataclass
class MemorySims:
    """Answers `ports.Sims`."""

    sims: dict[str, Sim] = field(default_factory=dict[str, Sim])
    updates: dict[str, SimUpdate] = field(default_factory=dict[str, SimUpdate])

    def add(self, sim: Sim) -> None:
        self.sims[sim.sid] = sim

    def save(self, sim: Sim) -> None:
        self.sims[sim.sid] = sim

    def get(self, sid: str) -> Sim | None:
        return self.sims.get(sid)

    def find(self, account_sid: str, sid_or_name: str) -> Sim | None:
        return _find(self.sims.values(), account_sid, sid_or_name)

    def with_iccid(self, iccid: str) -> Sim | None:
        return next((sim for sim in self.sims.values() if sim.iccid == iccid), None)

    def page(self, account_sid: str, which: SimFilter, window: Window) -> list[Sim]:
        def is_wanted(sim: Sim) -> bool:
            return (
                which.status in (None, sim.status)
                and which.fleet_sid in (None, sim.fleet_sid)
                and which.iccid in (None, sim.iccid)
            )

        return _page(_of(account_sid, self.sims.values()), is_wanted, window)

    def begin_update(self, update: SimUpdate) -> None:
        self.updates[update.sim_sid] = update

    def due_updates(self, now: datetime, *, limit: int) -> list[SimUpdate]:
        due = [update for update in self.updates.values() if update.due <= now]
        return sorted(due, key=lambda update: update.due)[:limit]

    def next_update_due(self) -> datetime | None:
        return min((update.due for update in self.updates.values()), default=None)

    def end_update(self, sim_sid: str) -> SimUpdate | None:
        return self.updates.pop(sim_sid, None)


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
        self.fleets = MemoryFleets()
        self.sims = MemorySims()
        self.callbacks = MemoryCallbacks(self.accounts)
        self.endings: list[Ending] = []

    def write_nothing(self) -> None:
        pass

    def afterwards(
        self, durable: Callable[[], None], *, undone: Callable[[], None] = nothing
    ) -> None:
        self.endings.append(Ending(durable, undone))


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


def _find(records: Iterable[N], account_sid: str, sid_or_name: str) -> N | None:
    own = _of(account_sid, records)
    by_sid = [record for record in own if record.sid == sid_or_name]
    by_name = [record for record in own if record.unique_name == sid_or_name]
    return next(iter(by_sid + by_name), None)


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
