"""The parts of an answer stored with its attempt and separately, and the budget for the latter."""

import pytest

from ringback.core.callbacks.response_storage import (
    MOST_BODY,
    MOST_HEAD,
    ResponseStorageBudget,
    first_part,
    rest_of,
    size_of,
)
from ringback.core.http.http_exchange import ReceiverResponseRecord

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
HEADERS = (("A", "a" * 1000), ("B", "b" * 1000), ("C", "c" * 100), ("D", "d"))


def test_an_ordinary_answer_is_its_first_part() -> None:
    response = ReceiverResponseRecord(200, HEADERS[:2], bytes(MOST_BODY), is_cut=True)
    assert first_part(response) == response


def test_the_first_part_of_a_long_response_has_the_size_of_the_rest() -> None:
    response = ReceiverResponseRecord(500, HEADERS, bytes(64 * KIB), is_cut=True)
    assert first_part(response) == ReceiverResponseRecord(
        500, HEADERS[:2], bytes(MOST_BODY), is_cut=True, headers_left_out=2, body_left_out=63 * KIB
    )


@pytest.mark.parametrize(("more", "left_out"), [(0, 0), (1, 1)])
def test_a_header_is_stored_whole_or_not_at_all(more: int, left_out: int) -> None:
    header = ("X", "x" * (MOST_HEAD - len("200\nX: ") + more))
    assert first_part(ReceiverResponseRecord(200, (header,), b"")).headers_left_out == left_out


@pytest.mark.parametrize(
    "response",
    [
        ReceiverResponseRecord(500, HEADERS, bytes(range(256)) * 256),
        ReceiverResponseRecord(500, HEADERS, b"short"),
        ReceiverResponseRecord(500, HEADERS[:1], bytes(MOST_BODY + 1)),
    ],
)
def test_the_first_part_and_the_rest_make_the_whole(response: ReceiverResponseRecord) -> None:
    first = first_part(response)
    rest = rest_of(response, first)
    assert first.headers + rest.headers == response.headers
    assert first.body + rest.body == response.body


@pytest.mark.parametrize(
    ("headers", "body", "size"),
    [
        ((), 1, KIB),
        ((), KIB, KIB),
        ((), KIB + 1, 2 * KIB),
        ((("X", "x" * 1023),), 0, KIB),
        ((("X", "x" * 1023),), 1, 2 * KIB),
    ],
)
def test_a_rest_counts_in_whole_kib(
    headers: tuple[tuple[str, str], ...], body: int, size: int
) -> None:
    assert size_of(ReceiverResponseRecord(200, headers, bytes(body))) == size


def test_by_default_an_account_has_room_for_a_thousand_of_the_longest_bodies() -> None:
    budget = ResponseStorageBudget()
    assert (budget.in_all, budget.per_account) == (GIB, 64 * MIB)
    rest = size_of(ReceiverResponseRecord(200, (), bytes(64 * KIB - MOST_BODY)))
    assert 1000 * rest <= budget.per_account


@pytest.mark.parametrize(
    ("in_all", "most_of_one", "has_room"),
    [(10, 5, True), (11, 5, False), (10, 6, False), (0, 0, True)],
)
def test_both_budgets_apply(in_all: int, most_of_one: int, has_room: bool) -> None:
    budget = ResponseStorageBudget(in_all=10, per_account=5)
    assert budget.has_room_for(in_all=in_all, most_of_one=most_of_one) is has_room
