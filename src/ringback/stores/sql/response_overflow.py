"""Stores the rest of a long answer, which does not fit into the row of the attempt.

A long answer has two more rows: how much is missing in the attempt's row, and the rest itself.
Database triggers keep count of the stored bytes of each account.
"""

import hashlib
from typing import Final

from ringback.core.accounts.account import EVERY
from ringback.core.callbacks.response_storage import (
    MOST_BODY,
    MOST_HEAD,
    ResponseStorageBudget,
    first_part,
    rest_of,
    size_of,
)
from ringback.core.http.http_exchange import ReceiverResponseRecord
from ringback.ports import StoredResponseBytes
from ringback.stores.sql.callback_rows import write_headers, write_response_head
from ringback.stores.sql.write_batch import BulkStatement, Row, WriteBatch

_LONG: Final = BulkStatement.insert(
    "long_responses", "sid, number, headers_left_out, body_left_out, digest"
)
_REPLACED: Final = BulkStatement.delete("kept_responses", "sid")
_KEPT: Final = BulkStatement.insert(
    "kept_responses", "seq, sid, account_sid, number, started_us, size, head, body"
)

TABLES: Final = (_LONG, _REPLACED, _KEPT)
"""The SQL statements that write queued rows, in the order in which `WriteBatch` runs them."""

_LARGEST: Final = (
    f"SELECT account_sid, bytes FROM kept_bytes WHERE account_sid <> '{EVERY}' AND bytes > 0"
    " ORDER BY bytes DESC, account_sid DESC LIMIT ?"
)
_DROP_OLDEST: Final = (
    "DELETE FROM kept_responses WHERE seq ="
    " (SELECT seq FROM kept_responses WHERE account_sid = ? ORDER BY seq LIMIT 1)"
)
_DIGEST_BYTES: Final = 16
_MOST_PUSHED_OUT: Final = 128
"""Maximum number of old answers that are deleted to make room for one new answer.

An answer is at most 128 KiB long, and each stored answer counts as at least 1 KiB.
"""


class SqlResponseOverflows:
    """Implements `ports.ResponseOverflows`."""

    def __init__(self, session: WriteBatch, budget: ResponseStorageBudget) -> None:
        self._session = session
        self._budget = budget
        self._added = 0
        """Number of long answers stored since the last call of `keep_within_budget`."""

    def bytes_of(self, account_sid: str) -> int:
        row = self._session.read_queued(
            "SELECT bytes FROM kept_bytes WHERE account_sid = ?", [account_sid]
        ).fetchone()
        return 0 if row is None else row[0]

    def largest(self, *, limit: int) -> list[StoredResponseBytes]:
        return [StoredResponseBytes(*row) for row in self._session.read_queued(_LARGEST, [limit])]

    def keep(
        self,
        response: ReceiverResponseRecord,
        sid: str,
        owner: tuple[str, int, int],
        *,
        is_last: bool,
    ) -> ReceiverResponseRecord:
        """Return the part of an answer that is stored with its attempt: all, unless it is long.

        If the answer is long, its rest is queued to be stored in a row of its own, but only if
        `is_last` is True, that is, if no later attempt is under way. `sid` is the SID of the
        callback or of the shadow. `owner` is the account's SID, the attempt's number, and when it
        started.
        """
        if len(response.body) <= MOST_BODY and len(write_response_head(response)) <= MOST_HEAD:
            return response
        first = first_part(response)
        account_sid, number, started_us = owner
        self._session.queue(_LONG, (sid, number, *_what_is_left_out(response, first)))
        if is_last:
            rest = rest_of(response, first)
            size, head = size_of(rest), write_headers(rest)
            row = sid, account_sid, number, started_us, size, head, rest.body
            self._session.queue(_KEPT, (self._session.new_seq(), *row))
            self._added += 1
        return first

    def drop(self, sid: str) -> None:
        """Delete the rest of the answer to an earlier attempt, since there is a newer answer."""
        self._session.queue(_REPLACED, (sid,))

    def keep_within_budget(self) -> None:
        """Delete the rest of old long answers until the stored bytes are within the budget.

        The oldest answers of the account with the most bytes are deleted first. So no account loses
        answers while it uses less than its share, the budget divided by the number of accounts.

        The number of deletions per call is limited, so that no commit takes long. If the budget is
        reduced, several calls may be needed.
        """
        most_drops, self._added = self._added * _MOST_PUSHED_OUT, 0
        for _ in range(most_drops):
            largest = self.largest(limit=1)
            if not largest or self._is_within_budget(largest[0]):
                return
            self._session.write(_DROP_OLDEST, [largest[0].account_sid])

    def _is_within_budget(self, largest: StoredResponseBytes) -> bool:
        in_all = self.bytes_of(EVERY)
        return self._budget.has_room_for(in_all=in_all, most_of_one=largest.bytes)


def _what_is_left_out(response: ReceiverResponseRecord, first: ReceiverResponseRecord) -> Row:
    digest = None
    if first.body_left_out:
        digest = hashlib.sha256(response.body).digest()[:_DIGEST_BYTES]
    return first.headers_left_out, first.body_left_out, digest
