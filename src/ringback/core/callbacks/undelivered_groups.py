"""Groups callbacks that were not delivered by URL, source and last answer."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple, Self

from ringback.core.callbacks.callback import Attempt, CallbackRecord
from ringback.core.policy.source_policy import SourceName

KEY_LENGTH: Final = 32
"""The number of hexadecimal digits in a group's key."""


class LastAnswer(NamedTuple):
    """What a group's callbacks got last: a status, or why there was no answer."""

    status_code: int | None = None
    failure: str | None = None
    """The kind of failure without an answer, or `unknown`."""

    @classmethod
    def of(cls, last: Attempt | None) -> Self:
        """Return the answer to an attempt; an empty one if there was none, or it is not kept."""
        if last is None:
            return cls()
        return cls.from_result(last.result, last.status_code, last.failure)

    @classmethod
    def from_result(cls, result: str, status_code: int | None, failure: str | None) -> Self:
        """Return the answer to an attempt with these values."""
        return cls(None, failure or result) if status_code is None else cls(status_code)


class GroupIdentity(NamedTuple):
    """What the callbacks of a group have in common."""

    account_sid: str
    url: str
    """As records show it, without credentials."""
    source: SourceName
    answer: LastAnswer

    @classmethod
    def of(cls, callback: CallbackRecord, last: Attempt | None) -> Self:
        """Return the identity of a callback's group; `last` is its last attempt that has ended."""
        own = callback.account_sid, callback.url.shown, callback.source
        return cls(*own, LastAnswer.of(last))

    @property
    def key(self) -> str:
        """A text that stands for the group: equal groups have equal keys, also after a restart.

        >>> GroupIdentity("AC1", "https://a.example", "kore", LastAnswer(503)).key
        '758323797b738f8a2c5ec676d38345c4'
        """
        account_sid, url, source, (status_code, failure) = self
        # Line ends don't occur in any of them.
        text = "\n".join((account_sid, url, source, str(status_code), failure or ""))
        return hashlib.sha256(text.encode()).hexdigest()[:KEY_LENGTH]


class UndeliveredCallback(NamedTuple):
    """What its group needs to know of a callback."""

    sid: str
    identity: GroupIdentity
    destination: str
    reason: str | None
    """What its last attempt got, in words; None if it was not tried."""
    created: datetime

    @classmethod
    def of(cls, callback: CallbackRecord, last: Attempt | None) -> Self:
        """Return this of a callback and its last attempt that has ended."""
        return cls(
            callback.sid,
            GroupIdentity.of(callback, last),
            callback.destination,
            last and last.reason,
            callback.date_created,
        )


@dataclass(frozen=True, slots=True)
class UndeliveredGroup:
    """The callbacks with the same URL, source and last answer, in numbers."""

    identity: GroupIdentity
    destination: str
    example_sid: str
    """The newest callback of the group."""
    reason: str | None
    """What the last attempt of the example got, in words; None if it was not tried."""
    first_created: datetime
    last_created: datetime
    count: int


def grouped(found: Iterable[UndeliveredCallback]) -> list[UndeliveredGroup]:
    """Return the groups of these callbacks, the largest first; the newest callbacks come first."""
    members = defaultdict[GroupIdentity, list[UndeliveredCallback]](list)
    for one in found:
        members[one.identity].append(one)
    groups = [_group(those) for those in members.values()]
    return sorted(groups, key=lambda group: group.count, reverse=True)


def _group(members: Sequence[UndeliveredCallback]) -> UndeliveredGroup:
    example, times = members[0], [one.created for one in members]
    return UndeliveredGroup(
        example.identity,
        example.destination,
        example.sid,
        example.reason,
        min(times),
        max(times),
        len(members),
    )
