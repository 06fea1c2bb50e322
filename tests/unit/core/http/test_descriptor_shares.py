import pytest

from ringback.core.http.descriptor_shares import (
    RESERVE,
    DescriptorShares,
    divide,
    needed_for,
    outgoing_wanted,
)

WANTED = DescriptorShares(incoming=4096, outgoing=900)


def test_sending_needs_an_eighth_more_connections_than_requests() -> None:
    assert outgoing_wanted(800) == 900
    assert outgoing_wanted(1) == 1


def test_with_enough_descriptors_all_get_what_they_need() -> None:
    assert needed_for(WANTED) == RESERVE + 4996
    assert divide(needed_for(WANTED), WANTED) == WANTED
    assert divide(1_000_000, WANTED) == WANTED


@pytest.mark.parametrize("limit", [64, 256, 1024, 2048, 4096, 5000])
@pytest.mark.parametrize("incoming", [1, 100, 4096, 100_000])
@pytest.mark.parametrize("outgoing", [1, 900, 100_000])
def test_with_too_few_everybody_gets_some_and_some_are_reserved(
    limit: int, incoming: int, outgoing: int
) -> None:
    wanted = DescriptorShares(incoming, outgoing)
    shares = divide(limit, wanted)
    assert 0 < shares.incoming <= incoming
    assert 0 < shares.outgoing <= outgoing
    assert shares.incoming + shares.outgoing <= limit - min(RESERVE, limit // 4)


def test_clients_give_up_at_most_three_quarters_to_sending() -> None:
    assert divide(2048, WANTED) == DescriptorShares(incoming=2048 - RESERVE - 900, outgoing=900)
    assert divide(1024, WANTED) == DescriptorShares(incoming=192, outgoing=576)


def test_even_a_limit_that_is_much_too_low_leaves_something() -> None:
    assert divide(1, WANTED) == DescriptorShares(incoming=4, outgoing=12)
