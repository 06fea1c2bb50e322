"""Too many wrong credentials: after some within a minute, the next are not looked at for a while.

They count for the user name that they are of, and for the address that they came from; of IPv6
addresses, those of one /64 are one. After `MOST_OF_A_NAME` of a name, addresses that gave one of
them have to wait, after `MOST_OF_A_NAME_IN_ALL` every address has to, and after
`MOST_OF_AN_ADDRESS` the address has to, whatever the name. So that nobody can lock an owner out,
credentials that were right at an address before are always looked at there.

Only a few are looked at in the same moment, so that many guesses at once are no way around this.
What is kept are digests of names, addresses and credentials, so many of each.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from hashlib import blake2b
from math import ceil
from typing import Any, Final, NamedTuple, Self, TypeVar

from ringback.core.errors import LoginRateLimited, Unauthorized
from ringback.core.http.client_address import holder_of, peer_address
from ringback.core.newest_entries import NewestEntries

T = TypeVar("T")

MOST_OF_A_NAME: Final = 20
MOST_OF_A_NAME_IN_ALL: Final = 50
MOST_OF_AN_ADDRESS: Final = 100
REMEMBERED_FOR: Final = timedelta(days=30)
"""How long an address is known after the last sign-in from there."""

_WITHIN: Final = timedelta(minutes=1)
_KEPT: Final = 10_000
_ADDRESSES_OF_A_NAME: Final = 16
_LOOKS_AT_ONCE: Final = 10


class LoginAttempt(NamedTuple):
    """Digests of whose credentials were tried, from where, and which."""

    name: bytes
    address: bytes
    credentials: bytes

    @classmethod
    def of(cls, name: str, password: str, address: str) -> Self:
        """Return the digests of one attempt to sign in from this address."""
        network = _digest(_holder_of(address))
        return cls(_digest(name), network, _digest(f"{len(name)} {name}{password}"))


class LoginRateLimiter:
    """Looks at credentials, unless too many were wrong."""

    def __init__(self, *, kept: int = _KEPT) -> None:
        self.refused = 0
        """How often somebody had to wait."""
        self._of_names = _Minutes(kept)
        self._of_addresses = _Minutes(kept)
        self._of_both = _Minutes(kept)
        # Credentials with their address, not the address alone: otherwise everybody behind one
        # proxy could guess without a limit (decision 17).
        self._known = _Known(kept)
        self._under_way = dict[LoginAttempt, asyncio.Task[Any]]()
        """Looks at the same credentials at the same moment are one."""
        self._few_at_once = asyncio.Semaphore(_LOOKS_AT_ONCE)

    async def look(self, tried: LoginAttempt, now: datetime, look: Callable[[], Awaitable[T]]) -> T:
        """Check credentials by `look`, and return its result.

        `look` raises Unauthorized where they are wrong. Raises LoginRateLimited, without a check,
        where the caller has to wait.
        """
        under_way = self._under_way.get(tried)
        if under_way is None:
            if not self._known.has(tried, now):
                self._check(tried, now)
            under_way = asyncio.create_task(self._look_in_turn(tried, now, look))
            self._under_way[tried] = under_way
            under_way.add_done_callback(lambda _: self._under_way.pop(tried))
        # A client that disconnects must not cancel the check that others share.
        return await asyncio.shield(under_way)

    async def _look_in_turn(
        self, tried: LoginAttempt, now: datetime, look: Callable[[], Awaitable[T]]
    ) -> T:
        if self._known.has(tried, now):
            return await self._look(tried, now, look)
        async with self._few_at_once:
            # Others were checked while this one waited, and may have used the failures up.
            self._check(tried, now)
            return await self._look(tried, now, look)

    async def _look(
        self, tried: LoginAttempt, now: datetime, look: Callable[[], Awaitable[T]]
    ) -> T:
        try:
            found = await look()
        except Unauthorized:
            self._known.forget(tried)
            self._count(tried, now)
            raise
        self._known.remember(tried, now)
        return found

    def _check(self, tried: LoginAttempt, now: datetime) -> None:
        until = max(self._closed_to_name(tried, now), self._closed_to_address(tried, now))
        if until > now:
            self.refused += 1
            seconds = ceil((until - now).total_seconds())
            raise LoginRateLimited(
                "too many wrong credentials came within a minute;"
                f" the next are looked at in {seconds} s",
                retry_after=seconds,
            )

    def _closed_to_name(self, tried: LoginAttempt, now: datetime) -> datetime:
        """Return until when nothing of this name is looked at, from this address."""
        count, over = self._of_names.at(tried.name, now)
        own, own_over = self._of_both.at(tried.name + tried.address, now)
        if count >= MOST_OF_A_NAME_IN_ALL:
            return over
        return min(over, own_over) if count >= MOST_OF_A_NAME and own else now

    def _closed_to_address(self, tried: LoginAttempt, now: datetime) -> datetime:
        count, over = self._of_addresses.at(tried.address, now)
        return over if count >= MOST_OF_AN_ADDRESS else now

    def _count(self, tried: LoginAttempt, now: datetime) -> None:
        self._of_names.count(tried.name, now)
        self._of_addresses.count(tried.address, now)
        self._of_both.count(tried.name + tried.address, now)


class _Minutes:
    """Counts failures by key for one minute each, and keeps the newest keys only."""

    def __init__(self, most: int) -> None:
        self._counts = NewestEntries[bytes, tuple[int, datetime]](most)

    def at(self, key: bytes, now: datetime) -> tuple[int, datetime]:
        """Return the count, and when its minute is over."""
        count, over = self._counts.get(key, (0, now))
        # A clock that was set back makes nobody wait for longer than a minute.
        is_on = now < over <= now + _WITHIN
        return (count, over) if is_on else (0, now + _WITHIN)

    def count(self, key: bytes, now: datetime) -> None:
        """Count one more."""
        count, over = self.at(key, now)
        self._counts[key] = (count + 1, over)


class _Known:
    """Which credentials were right at which address, for a limited number of each."""

    def __init__(self, most: int) -> None:
        self._names = NewestEntries[bytes, NewestEntries[bytes, datetime]](most)

    def has(self, tried: LoginAttempt, now: datetime) -> bool:
        """Whether these were right at this address, not too long ago."""
        places = self._names.get(tried.name)
        since = None if places is None else places.get(tried.address + tried.credentials)
        return since is not None and now - since < REMEMBERED_FOR

    def remember(self, tried: LoginAttempt, now: datetime) -> None:
        """Know from now on that these are right at this address."""
        places = self._names.get(tried.name) or NewestEntries(_ADDRESSES_OF_A_NAME)
        places[tried.address + tried.credentials] = now
        self._names[tried.name] = places

    def forget(self, tried: LoginAttempt) -> None:
        """Know no longer that these are right there."""
        places = self._names.get(tried.name)
        if places is not None:
            places.pop(tried.address + tried.credentials, None)


def _holder_of(address: str) -> str:
    """Return the key that failures from an address count for; other text is its own key."""
    known = peer_address(address)
    return address if known is None else holder_of(known)


def _digest(text: str) -> bytes:
    return blake2b(text.encode(errors="replace"), digest_size=16).digest()
