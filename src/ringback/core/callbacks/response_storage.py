"""Decides how much of a receiver's answer is stored: a first part always, the rest within a budget.

The first part is stored with the attempt. The rest is stored separately, and only for the last
answer to a callback or a shadow copy, until another answer replaces it or the budget is used up. An
answer after which the round continues at once never counts as the last one.
"""

from dataclasses import dataclass
from typing import Final

from ringback.core.http.http_exchange import ReceiverResponseRecord

MOST_HEAD: Final = 2048
"""The maximum number of characters of status and headers in the first part, in whole lines.

CDNs add about 1,500 characters at most, and an ordinary answer should fit into one row.
"""
MOST_BODY: Final = 1024
"""The maximum number of bytes of the body in the first part."""
_UNIT: Final = 1024


@dataclass(frozen=True, slots=True)
class ResponseStorageBudget:
    """The maximum number of bytes of answers stored separately from attempts.

    By default 64 MiB for each account, which is about 1,000 answers of 64 KiB, and 1 GiB in total.
    """

    in_all: int = 1 << 30
    per_account: int = 64 << 20

    def has_room_for(self, *, in_all: int, most_of_one: int) -> bool:
        """Return True if `in_all` bytes are allowed in total, and `most_of_one` for one account."""
        return in_all <= self.in_all and most_of_one <= self.per_account


def first_part(response: ReceiverResponseRecord) -> ReceiverResponseRecord:
    """Return the first part of an answer, with the number of headers and bytes left out.

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
    """Return the answer without the headers and the part of the body that `first` contains."""
    return response._replace(
        headers=response.headers[len(first.headers) :], body=response.body[len(first.body) :]
    )


def size_of(rest: ReceiverResponseRecord) -> int:
    """Return the bytes that the rest of an answer uses of the budget, rounded up to whole KiB.

    Rounding accounts for the cost of a row. So storing one new answer removes at most 128 others,
    however short they are.

    >>> [size_of(ReceiverResponseRecord(200, (), bytes(length))) for length in (1, 1025)]
    [1024, 2048]
    """
    head = sum(len(name) + len(value) for name, value in rest.headers)
    return -(-(head + len(rest.body)) // _UNIT) * _UNIT
