"""The stored rests of long responses, in a plain dictionary: only their owners and sizes."""

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from ringback.core.accounts.account import EVERY
from ringback.core.callbacks.response_storage import (
    ResponseStorageBudget,
    first_part,
    rest_of,
    size_of,
)
from ringback.core.http.http_exchange import ReceiverResponseRecord
from ringback.ports import StoredResponseBytes


class _Kept(NamedTuple):
    account_sid: str
    number: int
    size: int


@dataclass
class MemoryKeptResponses:
    """Implements `ports.ResponseOverflows`."""

    budget: ResponseStorageBudget
    kept: dict[str, _Kept] = field(default_factory=dict[str, _Kept])
    """By the SID of the callback or the copy, oldest first."""

    def bytes_of(self, account_sid: str) -> int:
        return sum(one.size for one in self.kept.values() if account_sid in (EVERY, one[0]))

    def largest(self, *, limit: int) -> list[StoredResponseBytes]:
        sizes = Counter[str]()
        for one in self.kept.values():
            sizes[one.account_sid] += one.size
        by_size = sorted(sizes.items(), key=lambda pair: (pair[1], pair[0]), reverse=True)
        return [StoredResponseBytes(*pair) for pair in by_size[:limit]]

    def replace(
        self, sid: str, account_sid: str, number: int, response: ReceiverResponseRecord | None
    ) -> None:
        """Store the rest of this response, if it has one, in place of the last response's rest."""
        if response is None:
            return
        self.kept.pop(sid, None)
        first = first_part(response)
        if first != response:
            self.kept[sid] = _Kept(account_sid, number, size_of(rest_of(response, first)))

    def keep_within_budget(self) -> None:
        """Drop the oldest rests of the account with the most, until all are within the budget."""
        while self.kept:
            ((account_sid, size),) = self.largest(limit=1)
            if self.budget.has_room_for(in_all=self.bytes_of(EVERY), most_of_one=size):
                return
            oldest = next(sid for sid, one in self.kept.items() if one.account_sid == account_sid)
            del self.kept[oldest]

    def shown(
        self, sid: str, number: int, response: ReceiverResponseRecord | None
    ) -> ReceiverResponseRecord | None:
        """Return a response as it can be shown: whole if its rest is still stored."""
        if response is None:
            return None
        kept = self.kept.get(sid)
        is_whole = kept is not None and kept.number == number
        is_shortened = response.headers_left_out or response.body_left_out
        return response if is_whole or is_shortened else first_part(response)
