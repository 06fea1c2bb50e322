"""Stores of received callbacks in Redis; the application passes the Redis client.

Lua scripts, which Redis runs atomically, implement the same logic as `claims.py`. Times are
microseconds since 1970 by Redis's clock.
"""

from datetime import timedelta
from enum import IntEnum
from typing import Any, Final, Protocol

from ringback.core.policy.source_policy import Source, SourceName
from ringback.receiver.dedupe.claims import FinishedAtOnceDedupe, comparable, other, remembered
from ringback.receiver.dedupe.dedupe_store import (
    Claimed,
    ClaimedByOther,
    ClaimWon,
    DedupeClaimRequest,
    DedupeUnavailable,
    WorkAlreadyDone,
)

_BUILT_IN: Final = frozenset(Source)


class _Answer(IntEnum):
    FIRST = 0
    AGAIN = 1
    UNDER_WAY = 2
    DONE = 3


# An event is a hash under the key of its first token. The hash of its second token only refers to
# that key (`same_as`). Keys expire by themselves.
# Lua formats large numbers with an exponent by default, so `text` sets the format.
_COMMON: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

local function text(number)
  return string.format('%.0f', number)
end

local function event_of(key)
  return redis.call('HGET', key, 'same_as') or key
end

local function keep_key(key, milliseconds)
  if redis.call('PTTL', key) < milliseconds then
    redis.call('PEXPIRE', key, milliseconds)
  end
end

local function keep(event, milliseconds)
  keep_key(event, milliseconds)
  local other = redis.call('HGET', event, 'other')
  if other then
    redis.call('PEXPIRE', other, redis.call('PTTL', event))
  end
end
"""

_CLAIM: Final = (
    _COMMON
    + "".join(f"local {answer.name} = {answer.value}\n" for answer in _Answer)
    + """
local key, unpaired, others_unpaired = KEYS[1], KEYS[2], KEYS[3]
local owner, lease, kept = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local within = tonumber(ARGV[4])
local event = event_of(key)

local function pair()
  local since = '(' .. text(now - within)
  redis.call('ZREMRANGEBYSCORE', unpaired, '-inf', since)
  redis.call('ZREMRANGEBYSCORE', others_unpaired, '-inf', since)
  while true do
    local oldest = redis.call('ZRANGE', others_unpaired, 0, 0)[1]
    if not oldest then
      return nil
    end
    redis.call('ZREM', others_unpaired, oldest)
    -- Don't pair a key that has expired meanwhile, or was claimed again with other content.
    if redis.call('HGET', oldest, 'listed_in') == others_unpaired then
      redis.call('HSET', oldest, 'other', key)
      redis.call('HSET', key, 'same_as', oldest)
      return oldest
    end
  end
end

local function begin()
  redis.call('HSET', key, 'owner', owner, 'lease_ends', text(now + lease))
  if within > 0 then
    redis.call('HSET', key, 'listed_in', unpaired)
    redis.call('ZADD', unpaired, text(now), key)
    keep_key(unpaired, math.floor(within / 1000) + 1)
  end
  return {FIRST, 0}
end

local function again()
  local ends = redis.call('HGET', event, 'lease_ends')
  if ends == 'never' then
    return {DONE, 0}
  end
  if now < tonumber(ends) then
    return {UNDER_WAY, tonumber(ends) - now}
  end
  redis.call('HSET', event, 'owner', owner, 'lease_ends', text(now + lease))
  return {AGAIN, 0}
end

if redis.call('EXISTS', event) == 0 then
  -- A second token may outlive its event by a millisecond.
  redis.call('DEL', key)
  event = within > 0 and pair() or nil
end
local answer = event and again() or begin()
keep(event or key, kept)
return answer
"""
)

_DONE: Final = (
    _COMMON
    + """
local event = event_of(KEYS[1])
if redis.call('HGET', event, 'owner') ~= ARGV[1] then
  return 0
end
redis.call('HSET', event, 'lease_ends', 'never')
keep(event, tonumber(ARGV[2]))
return 1
"""
)

_HELD: Final = """
local event = event_of(KEYS[1])
local held = redis.call('HGET', event, 'owner') == ARGV[1]
if not held or redis.call('HGET', event, 'lease_ends') == 'never' then
  return 0
end
"""

_RENEW: Final = (
    _COMMON
    + _HELD
    + """
redis.call('HSET', event, 'lease_ends', text(now + tonumber(ARGV[2])))
keep(event, tonumber(ARGV[3]))
return 1
"""
)

# Without an owner, a renewal that is still on its way changes nothing.
_RELEASE: Final = (
    _COMMON
    + _HELD
    + """
redis.call('HSET', event, 'owner', '', 'lease_ends', text(now))
return 1
"""
)


class RedisClient(Protocol):
    """The method of a Redis client that `RedisDedupe` calls, as redis-py declares it."""

    def eval(self, script: str, numkeys: int, /, *keys_and_args: Any) -> Any:
        """Run a Lua script with these keys and arguments, and return its result.

        The result of an asynchronous client is awaitable.
        """
        ...


class _RedisKeys:
    """The keys, as an `AsyncDedupeStore`; only an asynchronous client makes its coroutines wait."""

    def __init__(self, client: RedisClient, prefix: str) -> None:
        self._client = client
        self._prefix = prefix

    async def claim(self, visit: DedupeClaimRequest) -> Claimed:
        """Ask for the right to do a callback's work; see `DedupeStore.claim`."""
        keys, within = [self._token(visit)], timedelta(0)
        content = comparable(visit)
        if content is not None:
            keys += [
                self._unpaired(source, content) for source in (visit.source, other(visit.source))
            ]
            within = visit.same_event_within
        given = [visit.owner, _microseconds(visit.lease), _kept(visit), _microseconds(within)]
        number, for_another = await self._run(_CLAIM, keys, given)
        match _Answer(number):
            case _Answer.FIRST:
                return ClaimWon(is_retry=False)
            case _Answer.AGAIN:
                return ClaimWon(is_retry=True)
            case _Answer.UNDER_WAY:
                return ClaimedByOther(timedelta(microseconds=for_another))
            case _Answer.DONE:
                return WorkAlreadyDone()

    async def renew(self, visit: DedupeClaimRequest) -> bool:
        """Let the lease begin anew; see `DedupeStore.renew`."""
        given = [visit.owner, _microseconds(visit.lease), _kept(visit)]
        return bool(await self._run(_RENEW, [self._token(visit)], given))

    async def done(self, visit: DedupeClaimRequest) -> bool:
        """Record that the work is done; see `DedupeStore.done`."""
        return bool(await self._run(_DONE, [self._token(visit)], [visit.owner, _kept(visit)]))

    async def release(self, visit: DedupeClaimRequest) -> None:
        """Give up this delivery's claim to the callback's work; see `DedupeStore.release`."""
        await self._run(_RELEASE, [self._token(visit)], [visit.owner])

    def _token(self, visit: DedupeClaimRequest) -> str:
        # A source of the settings may be called `unpaired`.
        mark = "" if visit.source in _BUILT_IN else "of:"
        return f"{{{self._prefix}}}:{mark}{visit.source}:{visit.token}"

    def _unpaired(self, source: SourceName, content: str) -> str:
        return f"{{{self._prefix}}}:unpaired:{source}:{content}"

    async def _run(self, script: str, keys: list[str], given: list[str | int]) -> Any:
        try:
            result = self._client.eval(script, len(keys), *keys, *given)
            if hasattr(result, "__await__"):
                return await result
        except Exception as failure:
            # Redis clients' errors share no base class that can be named here. Their text may quote
            # the client's settings, such as a password, so it appears only in the cause.
            raise DedupeUnavailable(
                f"Redis can't be used with the prefix {self._prefix!r}:"
                f" {type(failure).__name__}; the exception's __cause__ has the client's message"
            ) from failure
        return self._at_once(result)

    def _at_once(self, result: Any) -> Any:
        """Return a result for which the client did not have to be awaited."""
        return result


class RedisDedupe(FinishedAtOnceDedupe):
    """A `DedupeStore` in Redis, shared by all receivers that use the same Redis and prefix.

    `client` is a `redis.Redis(…)`, a `redis.RedisCluster(…)`, or another client with the same
    `eval`. Redis must be version 5 or newer, and must not evict keys (`maxmemory-policy
    noeviction`). If Redis loses keys in a crash or a failover, the work of those callbacks may be
    done again.

    All keys begin with `{prefix}`, so that they are on one node of a cluster. Receivers that share
    a prefix must use the same `same_event_within`.

    Raises:
        TypeError: The client has no `eval`, for instance because it is a URL.
    """

    def __init__(self, client: RedisClient, *, prefix: str = "ringback:seen") -> None:
        super().__init__(_RedisKeys(_checked(self, client, "redis.Redis"), prefix))


class AsyncRedisDedupe(_RedisKeys):
    """An `AsyncDedupeStore` in Redis, for a client of `redis.asyncio`.

    It can share its keys with a `RedisDedupe`, whose description applies to both.

    Raises:
        TypeError: The client has no `eval`, for instance because it is a URL.
    """

    def __init__(self, client: RedisClient, *, prefix: str = "ringback:seen") -> None:
        super().__init__(_checked(self, client, "redis.asyncio.Redis"), prefix)

    def _at_once(self, result: Any) -> Any:  # noqa: ARG002 (the client's kind alone is wrong)
        raise TypeError(
            f"AsyncRedisDedupe got a client that blocks the event loop, {type(self._client)};"
            " give it one of redis.asyncio, or use RedisDedupe"
        )


def _checked(store: object, client: RedisClient, kind: str) -> RedisClient:
    if not hasattr(client, "eval"):
        raise TypeError(
            f"{type(store).__name__} got a {type(client).__name__}; it needs a client, such as"
            f" {kind}.from_url(…) after: pip install redis"
        )
    return client


def _microseconds(time: timedelta) -> int:
    return time // timedelta(microseconds=1)


def _kept(visit: DedupeClaimRequest) -> int:
    """Return for how many milliseconds Redis keeps the callback's keys, rounded up."""
    return -(-remembered(visit) // timedelta(milliseconds=1))
