"""What is kept of long answers, in a plain dictionary: only of which, and how much."""

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
    """Answers `ports.ResponseOverflows`."""

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
        """Keep the rest of this answer, where it has one, instead of the last one's."""
        if response is None:
            return
        self.kept.pop(sid, None)
        first = first_part(response)
        if first != response:
            self.kept[sid] = _Kept(account_sid, number, size_of(rest_of(response, first)))

    def keep_within_budget(self) -> None:
        """Drop the oldest of whoever has most, until what is kept is within the budget."""
        while self.kept:
            ((account_sid, size),) = self.largest(limit=1)
            if self.budget.has_room_for(in_all=self.bytes_of(EVERY), most_of_one=size):
                return
            oldest = next(sid for sid, one in self.kept.items() if one.account_sid == account_sid)
            del self.kept[oldest]

    def shown(
        self, sid: str, number: int, response: ReceiverResponseRecord | None
    ) -> ReceiverResponseRecord | None:
        """Return what is kept of an answer."""
        if response is None:
            return None
        kept = self.kept.get(sid)
        is_whole = kept is not None and kept.number == number
        return response if is_whole else first_part(response)
