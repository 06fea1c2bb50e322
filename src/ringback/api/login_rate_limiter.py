"""Limits password guessing: refuses sign-ins after too many wrong credentials within a minute.

Wrong credentials are counted for the user name and for the client's address. All addresses of an
IPv6 /64 count as one.

Credentials that were right from an address in the last 30 days are always checked when they come
from there. So nobody can lock out the owner of an account. Tokens of sessions, which nobody can
guess, are always checked.
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
"""After this many failures for a user name, the addresses that caused them must wait."""
MOST_OF_A_NAME_IN_ALL: Final = 50
"""After this many failures for a user name, the name must wait, whatever the address."""
MOST_OF_AN_ADDRESS: Final = 100
"""After this many failures from an address, the address must wait, whatever the user name."""
REMEMBERED_FOR: Final = timedelta(days=30)
"""After a sign-in, the same credentials from the same address aren't limited for this long."""

_WITHIN: Final = timedelta(minutes=1)
_KEPT: Final = 10_000
_ADDRESSES_OF_A_NAME: Final = 16
_LOOKS_AT_ONCE: Final = 10
"""Maximum number of checks at once, so that parallel guesses can't evade the limits."""


class LoginAttempt(NamedTuple):
    """A sign-in attempt, of which only digests are kept."""

    name: bytes
    address: bytes
    credentials: bytes

    @classmethod
    def of(cls, name: str, password: str, address: str) -> Self:
        """Return a sign-in attempt that keeps name, password and address only as digests."""
        network = _digest(_holder_of(address))
        return cls(_digest(name), network, _digest(f"{len(name)} {name}{password}"))


class LoginRateLimiter:
    """Checks credentials, but refuses to while too many were wrong within the last minute."""

    def __init__(self, *, kept: int = _KEPT) -> None:
        self.refused = 0
        """The number of sign-ins that were refused because of earlier failures."""
        self._of_names = _Minutes(kept)
        self._of_addresses = _Minutes(kept)
        self._of_both = _Minutes(kept)
        # Knows credentials with their address, not the address alone: otherwise everybody behind
        # the same proxy could guess without a limit (decision 17).
        self._known = _Known(kept)
        self._under_way = dict[LoginAttempt, asyncio.Task[Any]]()
        """The checks in progress; simultaneous sign-ins with the same credentials share one."""
        self._few_at_once = asyncio.Semaphore(_LOOKS_AT_ONCE)

    async def look(self, tried: LoginAttempt, now: datetime, look: Callable[[], Awaitable[T]]) -> T:
        """Check credentials by calling the given function, and return its result.

        The function raises Unauthorized if the credentials are wrong. After too many wrong
        credentials, LoginRateLimited is raised and the function is not called.
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

    async def look_at_token(
        self, tried: LoginAttempt, now: datetime, look: Callable[[], Awaitable[T]]
    ) -> T:
        """Check a token that is too long to be guessed; `look` is as for the method `look`.

        A right one passes however many wrong ones came from its address, which others may share.
        After too many wrong ones, LoginRateLimited is raised instead of Unauthorized.
        """
        if self._known.has(tried, now):
            return await self._look(tried, now, look)
        async with self._few_at_once:
            try:
                found = await look()
            except Unauthorized:
                self._check(tried, now)
                self._count(tried, now)
                raise
        self._known.remember(tried, now)
        return found

    async def _look_in_turn(
        self, tried: LoginAttempt, now: datetime, look: Callable[[], Awaitable[T]]
    ) -> T:
        if self._known.has(tried, now):
            return await self._look(tried, now, look)
        async with self._few_at_once:
            # Other sign-ins failed while this one waited, and may have reached the limit.
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
                f"too many requests with wrong credentials within a minute; try again in {seconds}"
                " s",
                retry_after=seconds,
            )

    def _closed_to_name(self, tried: LoginAttempt, now: datetime) -> datetime:
        """Return when this name may sign in from this address again; `now` if it may already."""
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
    """Counts failures per minute by key (a name, an address or both); old keys are forgotten."""

    def __init__(self, most: int) -> None:
        self._counts = NewestEntries[bytes, tuple[int, datetime]](most)

    def at(self, key: bytes, now: datetime) -> tuple[int, datetime]:
        """Return the number of failures in a key's current minute, and the end of that minute."""
        count, over = self._counts.get(key, (0, now))
        # After the clock was set back, nobody must wait for longer than a minute.
        is_on = now < over <= now + _WITHIN
        return (count, over) if is_on else (0, now + _WITHIN)

    def count(self, key: bytes, now: datetime) -> None:
        """Count one more failure of a key."""
        count, over = self.at(key, now)
        self._counts[key] = (count + 1, over)


class _Known:
    """Remembers which credentials were right from which address, for a limited number of names."""

    def __init__(self, most: int) -> None:
        self._names = NewestEntries[bytes, NewestEntries[bytes, datetime]](most)

    def has(self, tried: LoginAttempt, now: datetime) -> bool:
        """Return True if these credentials were right from this address within 30 days."""
        places = self._names.get(tried.name)
        since = None if places is None else places.get(tried.address + tried.credentials)
        return since is not None and now - since < REMEMBERED_FOR

    def remember(self, tried: LoginAttempt, now: datetime) -> None:
        """Remember that these credentials were right from this address."""
        places = self._names.get(tried.name) or NewestEntries(_ADDRESSES_OF_A_NAME)
        places[tried.address + tried.credentials] = now
        self._names[tried.name] = places

    def forget(self, tried: LoginAttempt) -> None:
        """Forget that these credentials were right from this address."""
        places = self._names.get(tried.name)
        if places is not None:
            places.pop(tried.address + tried.credentials, None)


def _holder_of(address: str) -> str:
    """Return the network that an address's failures count for: an IPv6 /64, else the address."""
    known = peer_address(address)
    return address if known is None else holder_of(known)


def _digest(text: str) -> bytes:
    return blake2b(text.encode(errors="replace"), digest_size=16).digest()
