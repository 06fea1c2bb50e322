"""Large databases, made by SQL, and the number of steps that SQLite takes for some work.

The counted steps are those of SQLite's virtual machine: the same on every machine, at any load.
"""

from collections.abc import Callable
from typing import Any, Final

from ringback.ports import Transaction
from ringback.stores.sql.transaction import CommitJob
from ringback.stores.sqlite.group_commit import GroupCommitter
from ringback.stores.sqlite.store import connect
from tests.fakes import VAULT
from tests.stores.records import OURS, THEIRS, account

_DESTINATIONS: Final = 40
# Of a hundred, one is discarded and two failed; most go to destinations with waiting callbacks.
_HISTORY: Final = (
    """
    WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers LIMIT :destinations)
    INSERT OR IGNORE INTO lanes (account_sid, destination)
    SELECT :account_sid, format('https://h%d.example:443', n) FROM numbers
    """,
    """
    INSERT OR IGNORE INTO callback_targets (id, account_sid, url, warnings, method, source,
        source_reason, is_test)
    SELECT id, account_sid, replace(destination, ':443', '/'), '[]', 'POST', 'twilio', 'made up', 0
    FROM lanes WHERE account_sid = :account_sid
    """,
    """
    WITH RECURSIVE numbers (n) AS (SELECT :first UNION ALL SELECT n + 1 FROM numbers LIMIT :count)
    INSERT INTO callbacks (id, sid, account_id, lane_id, target_id, created_us, idempotency_token,
        body)
    SELECT n, format('CB%032x', n), accounts.id, lanes.id, lanes.id, n * 1000, format('%036d', n),
        'A=1'
    FROM numbers, accounts, lanes
    WHERE accounts.sid = :account_sid AND account_sid = :account_sid
        AND destination = format('https://h%d.example:443', n % :destinations)
    """,
    """
    WITH RECURSIVE numbers (n) AS (SELECT :first UNION ALL SELECT n + 1 FROM numbers LIMIT :count)
    INSERT INTO outcomes (id, account_id, status, attempt_count, round_number, updated_us)
    SELECT n, accounts.id, CASE n % 100 WHEN 7 THEN 3 WHEN 13 THEN 2 WHEN 57 THEN 2 ELSE 1 END,
        1, 0, n * 1000
    FROM numbers, accounts WHERE accounts.sid = :account_sid
    """,
)


class CountedStore:
    """A database with two accounts, which counts the steps that SQLite takes."""

    def __init__(self, path: str = ":memory:") -> None:
        self.connection = connect(path, VAULT)
        self.committer = GroupCommitter(self.connection, VAULT)
        self.steps = 0
        """Number of steps that SQLite's virtual machine has taken."""
        self._made = 0
        self.connection.set_progress_handler(self._count, 1)
        for sid in (OURS, THEIRS):
            self.do(lambda tx, sid=sid: tx.accounts.add(account(sid), []))

    def make_history(self, count: int, account_sid: str = OURS) -> None:
        """Add this number of ended callbacks."""
        given = {
            "first": self._made + 1,
            "count": count,
            "account_sid": account_sid,
            "destinations": _DESTINATIONS,
        }
        self.connection.set_progress_handler(None, 0)  # a call for each step takes time
        for statement in _HISTORY:
            self.connection.execute(statement, given)
        self.connection.set_progress_handler(self._count, 1)
        self._made += count

    @property
    def middle(self) -> str:
        """The SID of the callback in the middle of the history."""
        return f"CB{self._made // 2:032x}"

    def do(self, work: Callable[[Transaction], Any]) -> Any:
        """Run some work in a commit, and return its result."""
        job = CommitJob(work)
        self.committer.commit([job])
        if job.failure is not None:
            raise job.failure
        return job.result

    def steps_of(self, work: Callable[[Transaction], Any]) -> int:
        """Run some work, and return the number of steps that SQLite's virtual machine took."""
        before = self.steps
        self.do(work)
        return self.steps - before

    def _count(self) -> int:
        self.steps += 1
        return 0
