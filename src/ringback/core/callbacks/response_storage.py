"""How much of receivers' answers is kept: the first part for good, the rest within a budget.

The first part is kept with the attempt. The rest is kept apart, only of the last answer to a
callback or a copy, until another answer replaces it or the budget is used up. An answer after which
the round goes on at once never counts as the last one.
"""

from dataclasses import dataclass
from typing import Final

from ringback.core.http.http_exchange import ReceiverResponseRecord

MOST_HEAD: Final = 2048
"""How many characters of status and headers the first part has, in whole lines.

CDNs add up to about 1,500, and an ordinary answer should fit into one row.
"""
MOST_BODY: Final = 1024
"""How many bytes of the body the first part has."""
_UNIT: Final = 1024


@dataclass(frozen=True, slots=True)
class ResponseStorageBudget:
    """How many bytes may be kept apart from attempts.

    By default the last 1,000 answers of 64 KiB for each account, and 1 GiB of the disk.
    """

    in_all: int = 1 << 30
    per_account: int = 64 << 20

    def has_room_for(self, *, in_all: int, most_of_one: int) -> bool:
        """Whether this much may be kept in all, and this much of one account."""
        return in_all <= self.in_all and most_of_one <= self.per_account


def first_part(response: ReceiverResponseRecord) -> ReceiverResponseRecord:
    """Return the first part of an answer, with how much is left out.

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
    """Return what an answer has beyond its first part."""
    return response._replace(
        headers=response.headers[len(first.headers) :], body=response.body[len(first.body) :]
    )


def size_of(rest: ReceiverResponseRecord) -> int:
    """Return how many bytes a rest counts for: whole KiB, since a row has costs of its own.

    So one new answer pushes out at most 128 others, however short they are.

    >>> [size_of(ReceiverResponseRecord(200, (), bytes(length))) for length in (1, 1025)]
    [1024, 2048]
    """
    head = sum(len(name) + len(value) for name, value in rest.headers)
    return -(-(head + len(rest.body)) // _UNIT) * _UNIT
