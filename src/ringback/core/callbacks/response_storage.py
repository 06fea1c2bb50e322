"""Decides how much of a receiver's answer is stored: a first part always, the rest within a budget.

The first part is stored with the attempt. The rest is stored separately, and only for the last
answer to a callback or a shadow copy. If the budget is exceeded, the rest of older answers is
deleted.
"""

from dataclasses import dataclass
from typing import Final

from ringback.core.http.http_exchange import ReceiverResponseRecord

MOST_HEAD: Final = 2048
"""The maximum number of characters of status and headers in the first part, in whole lines.

An ordinary answer should fit: CDNs add about 1,500 characters at most.
"""
MOST_BODY: Final = 1024
"""The maximum number of bytes of the body in the first part."""
_UNIT: Final = 1024


@dataclass(frozen=True, slots=True)
class ResponseStorageBudget:
    """The maximum number of bytes of answers stored separately from attempts.

    The default is 1 GiB in total, and 64 MiB for each account, about 1,000 answers of 64 KiB.
    """

    in_all: int = 1 << 30
    per_account: int = 64 << 20

    def has_room_for(self, *, in_all: int, most_of_one: int) -> bool:
        """Return True if the budget allows `in_all` bytes in total, `most_of_one` per account."""
        return in_all <= self.in_all and most_of_one <= self.per_account


def first_part(response: ReceiverResponseRecord) -> ReceiverResponseRecord:
    """Return the start of an answer, which is always stored, and how much more there was.

    >>> first_part(ReceiverResponseRecord(200, (), bytes(1500))).body_left_out
    476
    """
    count, size = 0, len(str(response.status))
    for name, value in response.headers:
        size += len(name) + len(value) + len("\n: ")
        if size > MOST_HEAD:
            break
        count += 1
    body = response.body[:MOST_BODY]
    return response._replace(
        headers=response.headers[:count],
        body=body,
        headers_left_out=len(response.headers) - count,
        body_left_out=len(response.body) - len(body),
    )


def rest_of(
    response: ReceiverResponseRecord, first: ReceiverResponseRecord
) -> ReceiverResponseRecord:
    """Return the rest of an answer: the headers and body bytes that are not in `first`."""
    return response._replace(
        headers=response.headers[len(first.headers) :], body=response.body[len(first.body) :]
    )


def size_of(rest: ReceiverResponseRecord) -> int:
    """Return the bytes that the rest of an answer uses of the budget, rounded up to whole KiB.

    Rounding up accounts for the cost of a database row. It also limits the number of old answers
    that are deleted to make room for a new one: at most 128, however short they are.

    >>> [size_of(ReceiverResponseRecord(200, (), bytes(length))) for length in (1, 1025)]
    [1024, 2048]
    """
    head = sum(len(name) + len(value) for name, value in rest.headers)
    return -(-(head + len(rest.body)) // _UNIT) * _UNIT
