"""Tasks, commands and data sessions: the SQLite store compared with its model in memory."""

import sqlite3
from dataclasses import replace
from datetime import timedelta
from itertools import count

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from ringback.core.scheduled_task import ScheduledTask
from ringback.core.sims.message import Direction, MessageStatus
from ringback.core.sims.scenario import TaskKind
from ringback.ports import PageWindow, Transaction
from tests.fakes import NOW
from tests.memory_store import MemoryTransaction
from tests.stores.both_stores import (
    ACCOUNTS,
    AHEAD,
    LIMITS,
    NUMBERS,
    BothStores,
    Part,
    or_refused,
    windows,
)
from tests.stores.records import OURS, SIMS, session, sms_command, task

SUBJECTS = st.integers(0, 3)
STEPS = st.sampled_from([TaskKind.UPDATE_SIM, TaskKind.RENEW_PERIOD])
DIRECTIONS = st.none() | st.sampled_from(Direction)
STATUSES = st.none() | st.sampled_from(MessageStatus)


class TasksInBothStores(BothStores):
    """Scheduled tasks, put, postponed, read, taken and dropped; and the records they refer to."""

    def __init__(self) -> None:
        self._seen = list[ScheduledTask]()
        self._commands = set[str]()
        self._sessions = count()
        super().__init__()

    # ---- tasks

    @rule(number=SUBJECTS, step=STEPS, ahead=AHEAD)
    def put(self, number: int, step: TaskKind, ahead: timedelta) -> None:
        given = task(number, step, due=self.now + ahead)
        self.add(Part(lambda tx: tx.tasks.put(given)))

    @rule(number=SUBJECTS, step=STEPS)
    def drop(self, number: int, step: TaskKind) -> None:
        self.add(Part(lambda tx: tx.tasks.drop(task(number).subject_sid, step)))

    @rule(limit=LIMITS)
    def see_what_is_due(self, limit: int) -> None:
        now = self.now
        self.add(
            Part(
                lambda tx: (tx.tasks.next_due(), tx.tasks.claim(now, limit=limit)),
                lambda seen: self._seen.extend(seen[1]),
            )
        )

    @precondition(lambda self: self._seen)
    @rule(which=st.integers(0, 99))
    def take_what_was_seen(self, which: int) -> None:
        """Take a task that was due once; it may have been dropped or postponed since."""
        seen = self._seen[which % len(self._seen)]
        self.add(Part(lambda tx: tx.tasks.take(seen)))

    # ---- commands

    @rule(number=NUMBERS, account_sid=ACCOUNTS, direction=st.sampled_from(Direction))
    def add_command(self, number: int, account_sid: str, direction: Direction) -> None:
        added = replace(sms_command(number, account_sid), direction=direction)
        if added.sid not in self._commands:
            self._commands.add(added.sid)
            self.add(
                Part(
                    lambda tx: tx.supersim.sms_commands.add(added),
                    undone=lambda: self._commands.discard(added.sid),
                )
            )

    @rule(number=NUMBERS, status=st.sampled_from(MessageStatus))
    def save_command(self, number: int, status: MessageStatus) -> None:
        now = self.now

        def work(tx: Transaction) -> None:
            found = tx.supersim.sms_commands.get(sms_command(number).sid)
            if found is not None:
                tx.supersim.sms_commands.save(replace(found, status=status, date_updated=now))

        self.add(Part(work))

    @rule(
        account_sid=ACCOUNTS,
        number=NUMBERS,
        status=STATUSES,
        direction=DIRECTIONS,
        window=windows(sms_command),
    )
    def look(
        self,
        *,
        account_sid: str,
        number: int,
        status: MessageStatus | None,
        direction: Direction | None,
        window: PageWindow,
    ) -> None:
        which = {"status": status, "direction": direction}
        self.add(
            Part(
                lambda tx: (
                    tx.supersim.sms_commands.get(sms_command(number).sid),
                    tx.supersim.sms_commands.first({"account_sid": account_sid, **which}),
                    or_refused(lambda: tx.supersim.sms_commands.page(account_sid, which, window)),
                )
            )
        )

    # ---- sessions

    @rule(account_sid=ACCOUNTS, lasts=st.none() | AHEAD)
    def add_session(self, account_sid: str, lasts: timedelta | None) -> None:
        began = self.now
        ends = None if lasts is None else began + lasts
        added = session(next(self._sessions), account_sid, began=began, ends=ends)
        self.add(Part(lambda tx: tx.supersim.sessions.add(added)))

    @rule(number=NUMBERS, ahead=st.none() | AHEAD)
    def end_session(self, number: int, ahead: timedelta | None) -> None:
        at = None if ahead is None else self.now + ahead

        def work(tx: Transaction) -> None:
            if tx.supersim.sessions.get(session(number).sid) is not None:
                tx.supersim.sessions.end(session(number).sid, at)

        self.add(Part(work))

    @rule(account_sid=ACCOUNTS, ago=AHEAD, lasts=AHEAD, window=windows(session))
    def look_at_sessions(
        self, account_sid: str, ago: timedelta, lasts: timedelta, window: PageWindow
    ) -> None:
        start = self.now - ago
        which = {"sim_sid": SIMS[OURS].sid}
        self.add(
            Part(
                lambda tx: (
                    [tx.supersim.sessions.of_sim(sim.sid, since=start) for sim in SIMS.values()],
                    or_refused(
                        lambda: tx.supersim.sessions.between(
                            account_sid, which, start, start + lasts, window
                        )
                    ),
                )
            )
        )

    # ---- refusals

    @precondition(lambda self: self._commands)
    @rule(which=st.integers(0, 99))
    def give_what_is_refused(self, which: int) -> None:
        """Make a job put a task and add an existing command: neither is done."""
        self.commit()
        if not self._commands:
            return
        known = sorted(self._commands)[which % len(self._commands)]

        def work(tx: Transaction) -> None:
            tx.tasks.put(task(0, due=NOW))
            if isinstance(tx, MemoryTransaction):
                raise sqlite3.IntegrityError
            tx.supersim.sms_commands.add(replace(sms_command(0), sid=known))

        self.add(Part(work))
        self.next_job()


# This takes some seconds, and much longer on a busy machine.
@pytest.mark.timeout(300)
class TestTasksInBothStores(TasksInBothStores.TestCase):
    settings = settings(max_examples=50, stateful_step_count=60, deadline=None)
