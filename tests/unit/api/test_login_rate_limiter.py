"""Too many wrong credentials within a minute: the next must wait, but not the owner's."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import count

import pytest

from ringback.api.login_rate_limiter import (
    MOST_OF_A_NAME,
    MOST_OF_A_NAME_IN_ALL,
    MOST_OF_AN_ADDRESS,
    REMEMBERED_FOR,
    LoginAttempt,
    LoginRateLimiter,
)
from ringback.core.errors import LoginRateLimited, StoreUnavailable, Unauthorized
from tests.fakes import NOW

HERE, THERE = "192.0.2.1", "192.0.2.2"
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)


class Door:
    """Accepts only `right`, and counts the checks."""

    def __init__(self, limiter: LoginRateLimiter | None = None) -> None:
        self.limiter = limiter or LoginRateLimiter()
        self.looks = 0

    async def try_(
        self, password: str, *, name: str = "AC1", address: str = HERE, at: datetime = NOW
    ) -> int | str:
        """Return `right` or `wrong`, or the number of seconds to wait."""

        async def look() -> str:
            self.looks += 1
            await asyncio.sleep(0)
            if password != "right":
                raise Unauthorized("no")
            return "right"

        try:
            return await self.limiter.look(LoginAttempt.of(name, password, address), at, look)
        except LoginRateLimited as refused:
            return refused.retry_after
        except Unauthorized:
            return "wrong"

    async def fail(
        self,
        times: int,
        *,
        name: str = "AC1",
        addresses: Sequence[str] = (HERE,),
        at: datetime = NOW,
    ) -> int:
        """Try this number of wrong passwords, and return how many were checked."""
        before, numbers = self.looks, count(self.looks)
        for turn in range(times):
            address = addresses[turn % len(addresses)]
            await self.try_(f"wrong {next(numbers)}", name=name, address=address, at=at)
        return self.looks - before


def addresses(number: int) -> list[str]:
    return [f"198.51.{n // 250}.{n % 250}" for n in range(number)]


@pytest.fixture
def door() -> Door:
    return Door()


# ---- one address ---------------------------------------------------------------------------------


async def test_the_twentieth_failure_of_a_name_within_a_minute_is_the_last_of_its_address(
    door: Door,
) -> None:
    assert await door.fail(60) == MOST_OF_A_NAME == 20
    # The right ones are not checked either; otherwise more guesses could find them.
    assert await door.try_("right") == 60
    assert await door.try_("right", at=NOW + MINUTE) == "right"


async def test_it_says_when_the_next_credentials_are_checked(door: Door) -> None:
    await door.fail(20)

    async def never() -> None:
        raise AssertionError

    with pytest.raises(LoginRateLimited) as refused:
        await door.limiter.look(LoginAttempt.of("AC1", "x", HERE), NOW + 20.5 * SECOND, never)
    assert (refused.value.status, refused.value.code) == (429, 20429)
    assert refused.value.message == (
        "too many requests with wrong credentials within a minute; try again in 40 s"
    )
    assert door.limiter.refused == 1


async def test_an_owner_elsewhere_and_another_name_do_not_wait(door: Door) -> None:
    await door.fail(20)
    assert await door.try_("right", address=THERE) == "right"
    assert await door.try_("right", name="AC2") == "right"


async def test_credentials_that_an_address_used_before_are_checked_there(door: Door) -> None:
    assert await door.try_("right") == "right"
    at = NOW + REMEMBERED_FOR - SECOND
    assert await door.fail(60, at=at) == 20
    assert await door.try_("right", at=at) == "right"
    # Guesses from this address still have to wait.
    assert await door.fail(1, at=at) == 0


async def test_an_address_is_not_known_forever(door: Door) -> None:
    await door.try_("right")
    at = NOW + REMEMBERED_FOR
    await door.fail(20, at=at)
    assert await door.try_("right", at=at) == 60


async def test_formerly_correct_credentials_do_not_let_wrong_ones_in(door: Door) -> None:
    tried = LoginAttempt.of("AC1", "old", HERE)

    async def right() -> str:
        return "right"

    async def wrong() -> str:
        door.looks += 1
        raise Unauthorized("changed meanwhile")

    await door.limiter.look(tried, NOW, right)
    for _ in range(60):
        with pytest.raises((Unauthorized, LoginRateLimited)):
            await door.limiter.look(tried, NOW, wrong)
    assert door.looks == 20


async def test_many_names_from_one_address_have_to_wait_too(door: Door) -> None:
    await door.try_("right", name="ours")
    looked_at = [await door.fail(1, name=f"AC{n}") for n in range(150)]
    assert sum(looked_at) == MOST_OF_AN_ADDRESS == 100
    assert await door.try_("right", name="theirs") == 60
    assert await door.try_("right", name="theirs", address=THERE) == "right"
    assert await door.try_("right", name="ours") == "right"


@pytest.mark.parametrize(
    ("addresses", "looked_at"),
    [
        (["2001:db8::1", "2001:db8::2", "2001:db8:0:0:ffff::"], 20),
        (["192.0.2.1", "::ffff:192.0.2.1"], 20),
        (["fe80::1%eth0", "fe80::1%eth1"], 20),
        (["", "not an address"], 21),
        (["2001:db8::1", "2001:db8:0:1::1"], 21),
    ],
)
async def test_all_addresses_of_a_64_count_as_one(
    door: Door, addresses: list[str], looked_at: int
) -> None:
    await door.fail(20, addresses=addresses[:1])
    assert 20 + await door.fail(2, addresses=addresses[1:]) == looked_at


# ---- many addresses ------------------------------------------------------------------------------


async def test_guesses_from_many_addresses_slow_down_and_then_wait(door: Door) -> None:
    assert await door.fail(60, addresses=addresses(60)) == MOST_OF_A_NAME_IN_ALL == 50
    assert await door.try_("right", address=THERE) == 60


async def test_an_owner_with_a_new_address_passes_while_a_few_addresses_guess(door: Door) -> None:
    # Each address with failures gets at most one more check.
    assert await door.fail(600, addresses=addresses(10)) == 20
    assert await door.fail(600, addresses=addresses(29)) == 19
    assert await door.try_("right", address=THERE) == "right"


async def test_an_owner_at_a_known_address_passes_whoever_guesses(door: Door) -> None:
    await door.try_("right")
    await door.fail(2000, addresses=addresses(1000))
    assert await door.try_("right") == "right"


# ---- at the same time ----------------------------------------------------------------------------


async def test_guesses_at_the_same_moment_do_not_evade_the_limit(door: Door) -> None:
    guesses = [door.try_(f"wrong {n}", address=THERE) for n in range(60)]
    ended = await asyncio.gather(*guesses)
    assert (ended.count("wrong"), door.looks) == (20, 20)


async def test_many_correct_credentials_at_the_same_moment_pass(door: Door) -> None:
    tries = [door.try_("right", name=f"AC{n}") for n in range(500)]
    assert set(await asyncio.gather(*tries)) == {"right"}


async def test_equal_credentials_at_the_same_moment_are_checked_once(door: Door) -> None:
    for password in ("right", "wrong"):
        tries = [door.try_(password) for _ in range(50)]
        assert await asyncio.gather(*tries) == [password] * 50
    assert door.looks == 2


async def test_a_cancelled_client_does_not_end_the_check_for_others(door: Door) -> None:
    first, second = (asyncio.create_task(door.try_("right")) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == "right"


async def test_credentials_that_cannot_be_checked_do_not_count_as_wrong(door: Door) -> None:
    async def away() -> None:
        raise StoreUnavailable("the disk is full")

    for _ in range(60):
        with pytest.raises(StoreUnavailable):
            await door.limiter.look(LoginAttempt.of("AC1", "right", HERE), NOW, away)
    assert await door.try_("right") == "right"


# ---- the clock, and the number of entries --------------------------------------------------------


@pytest.mark.parametrize("back", [SECOND, timedelta(hours=1)])
async def test_a_clock_set_back_prolongs_no_wait(door: Door, back: timedelta) -> None:
    await door.fail(20)
    assert await door.try_("right", at=NOW - back) == "right"


async def test_a_minute_begins_with_its_first_failure(door: Door) -> None:
    await door.fail(19)
    await door.fail(1, at=NOW + 59 * SECOND)
    assert await door.try_("right", at=NOW + 59 * SECOND) == 1
    assert await door.fail(60, at=NOW + 60 * SECOND) == 20


async def test_a_flood_of_made_up_names_and_addresses_needs_limited_memory() -> None:
    door = Door(LoginRateLimiter(kept=100))
    await door.fail(15)
    for n, address in enumerate(addresses(1000)):
        await door.try_("wrong", name=f"made up {n}", address=address)
        if n % 50 == 0:
            await door.fail(1, addresses=[f"203.0.113.{n // 50}"])
    kept = [
        len(vars(vars(door.limiter)[of])["_counts"])
        for of in ("_of_names", "_of_addresses", "_of_both")
    ]
    assert kept == [100, 100, 100]
    # An address that continues to fail is among the newest, and is not forgotten.
    assert await door.fail(60, addresses=addresses(60)) == 50 - 15 - 20


async def test_a_flood_of_correct_credentials_needs_limited_memory() -> None:
    door = Door(LoginRateLimiter(kept=10))
    for n in range(30):
        for address in addresses(20):
            await door.try_("right", name=f"AC{n}", address=address)
    names = vars(vars(door.limiter)["_known"])["_names"]
    assert (len(names), {len(places) for places in names.values()}) == (10, {16})


async def test_neither_names_nor_addresses_nor_passwords_are_in_its_memory(door: Door) -> None:
    await door.try_("wrong", name="a\udc80b")
    await door.try_("right", name="c")
    kept = repr([vars(each) for each in vars(door.limiter).values() if hasattr(each, "__dict__")])
    assert not any(text in kept for text in (HERE, "a\\udc80b", "right"))
