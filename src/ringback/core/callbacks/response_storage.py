"""How much of what receivers answer is kept: its first part for good, the rest within a budget.

The first part stands with the attempt. The rest of the last answer of a callback, or of a copy, is
kept apart from it, until another answer replaces it or the budget is used up. An answer after which
its round goes on at once is never the last one.
"""

from dataclasses import dataclass
from typing import Final

from ringback.core.http.http_exchange import RecordedResponse

MOST_HEAD: Final = 2048
"""How many characters the first part has of status and headers, in whole lines.

What a CDN adds is up to about 1,500, and the ordinary answer has to stand in one row.
"""
MOST_BODY: Final = 1024
"""How many bytes the first part has of a body."""
_UNIT: Final = 1024


@dataclass(frozen=True, slots=True)
class ResponseStorageBudget:
    """How many bytes may be kept apart from attempts.

    By default the last 1,000 answers of 64 KiB for each account, and 1 GiB of the disk.
    """

    in_all: int = 1 << 30
    per_account: int = 64 << 20

    def has_room_for(self, *, in_all: int, most_of_one: int) -> bool:
        """Whether so much may be kept, and so much of it of one account."""
        return in_all <= self.in_all and most_of_one <= self.per_account


def first_part(response: RecordedResponse) -> RecordedResponse:
    """Return what stands of an answer with its attempt, and how much more there was.

    >>> first_part(RecordedResponse(200, (), bytes(1500))).body_left_out
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


def rest_of(response: RecordedResponse, first: RecordedResponse) -> RecordedResponse:
    """Return what an answer has beyond its first part."""
    return response._replace(
        headers=response.headers[len(first.headers) :], body=response.body[len(first.body) :]
    )


def size_of(rest: RecordedResponse) -> int:
    """Return for how many bytes a rest counts: in whole KiB, since a row has costs of its own.

    So one new answer pushes out 128 others at the most, however short they are.

    >>> size_of(RecordedResponse(200, (), b"x")), size_of(RecordedResponse(200, (), bytes(1025)))
    (1024, 2048)
    """
    head = sum(len(name) + len(value) for name, value in rest.headers)
    return -(-(head + len(rest.body)) // _UNIT) * _UNIT
