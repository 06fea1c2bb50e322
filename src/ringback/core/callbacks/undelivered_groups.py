"""Groups callbacks that were not delivered by URL, source and last answer."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
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
        if last is None or last.status_code is not None:
            return cls(last and last.status_code)
        return cls(None, last.failure or last.result)


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


@dataclass(frozen=True, slots=True)
class UndeliveredGroup:
    """The callbacks with the same URL, source and last answer, in numbers."""

    identity: GroupIdentity
    destination: str
    example: CallbackRecord
    """The newest callback of the group."""
    reason: str | None
    """What the last attempt of the example got, in words; None if it was not tried."""
    first_created: datetime
    last_created: datetime
    count: int = 1


def grouped(found: Iterable[tuple[CallbackRecord, Attempt | None]]) -> list[UndeliveredGroup]:
    """Return the groups of these callbacks, the largest first.

    Each callback comes with its last attempt that has ended; the newest callbacks come first.
    """
    groups = dict[GroupIdentity, UndeliveredGroup]()
    for callback, last in found:
        identity, created = GroupIdentity.of(callback, last), callback.date_created
        group = groups.get(identity)
        if group is None:
            reason = last and last.reason
            groups[identity] = UndeliveredGroup(
                identity, callback.destination, callback, reason, created, created
            )
        else:
            groups[identity] = replace(
                group,
                count=group.count + 1,
                first_created=min(group.first_created, created),
                last_created=max(group.last_created, created),
            )
    return sorted(groups.values(), key=lambda group: group.count, reverse=True)
