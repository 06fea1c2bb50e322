"""What was seen, in Redis, by whatever client the caller has.

This is `claims.py` in Redis's own language: each script runs while nothing else does. An event is
a hash under the key of its first token; a second token's hash says only which that is. Instants
are microseconds since 1970 by Redis's clock, and what is to be forgotten expires by itself.
"""

from datetime import timedelta
from enum import IntEnum
from typing import Any, Final, Protocol

from ringback.core.policy.source_policy import Source
from ringback.receiver.dedupe.claims import comparable, other, remembered
from ringback.receiver.dedupe.dedupe_store import (
    Claimed,
    ClaimedByOther,
    ClaimWon,
    DedupeClaimRequest,
    DedupeUnavailable,
    WorkAlreadyDone,
)


class _Answer(IntEnum):
    FIRST = 0
    AGAIN = 1
    UNDER_WAY = 2
    DONE = 3


# Lua writes large numbers with an exponent unless it is told how.
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
    -- What has expired meanwhile, or begun anew with other content, is not to be paired here.
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

_RELEASE: Final = (
    _COMMON
    + """
local event = event_of(KEYS[1])
local held = redis.call('HGET', event, 'owner') == ARGV[1]
if held and redis.call('HGET', event, 'lease_ends') ~= 'never' then
  redis.call('HSET', event, 'lease_ends', text(now))
end
return 0
"""
)


class RedisClient(Protocol):
    """What is used of a client like that of redis-py."""

    def eval(self, script: str, numkeys: int, /, *keys_and_args: Any) -> Any:
        """Run a script."""
        ...


class RedisDedupe:
    """Answers `DedupeStore` for all who use the same Redis; its time is Redis's.

    The client is `redis.Redis(…)` or `redis.RedisCluster(…)`, or another with their `eval`; Redis
    is to be 5 or newer, and not to evict keys (`maxmemory-policy noeviction`). It is as durable as
    Redis is set up to be: what a crash or a change of the primary makes it forget may be done once
    more. All keys begin with `{prefix}`, and so live on one node of a cluster. Those who share a
    prefix are to use the same `same_event_within`.

    Raises:
        TypeError: The client has no `eval`: a URL, for instance.
    """

    def __init__(self, client: RedisClient, *, prefix: str = "ringback:seen") -> None:
        if not hasattr(client, "eval"):
            raise TypeError(
                f"RedisDedupe got a {type(client).__name__}; it needs a client, such as"
                " redis.Redis.from_url(…) after: pip install redis"
            )
        self._client = client
        self._prefix = prefix

    def claim(self, visit: DedupeClaimRequest) -> Claimed:
        """Answer `DedupeStore.claim`."""
        keys, within = [self._token(visit)], timedelta(0)
        content = comparable(visit)
        if content is not None:
            keys += [
                self._unpaired(source, content) for source in (visit.source, other(visit.source))
            ]
            within = visit.same_event_within
        given = [visit.owner, _microseconds(visit.lease), _kept(visit), _microseconds(within)]
        number, for_another = self._run(_CLAIM, keys, given)
        match _Answer(number):
            case _Answer.FIRST:
                return ClaimWon(is_retry=False)
            case _Answer.AGAIN:
                return ClaimWon(is_retry=True)
            case _Answer.UNDER_WAY:
                return ClaimedByOther(timedelta(microseconds=for_another))
            case _Answer.DONE:
                return WorkAlreadyDone()

    def done(self, visit: DedupeClaimRequest) -> bool:
        """Answer `DedupeStore.done`."""
        return bool(self._run(_DONE, [self._token(visit)], [visit.owner, _kept(visit)]))

    def release(self, visit: DedupeClaimRequest) -> None:
        """Answer `DedupeStore.release`."""
        self._run(_RELEASE, [self._token(visit)], [visit.owner])

    def _token(self, visit: DedupeClaimRequest) -> str:
        return f"{{{self._prefix}}}:{visit.source}:{visit.token}"

    def _unpaired(self, source: Source, content: str) -> str:
        return f"{{{self._prefix}}}:unpaired:{source}:{content}"

    def _run(self, script: str, keys: list[str], given: list[str | int]) -> Any:
        try:
            return self._client.eval(script, len(keys), *keys, *given)
        except Exception as failure:
            # Clients' errors have no base that has a name here. Their text may quote what the
            # client was set up with; it is in the cause.
            raise DedupeUnavailable(
                f"Redis can't be asked about {self._prefix}: {type(failure).__name__}"
            ) from failure


def _microseconds(time: timedelta) -> int:
    return time // timedelta(microseconds=1)


def _kept(visit: DedupeClaimRequest) -> int:
    """Return for how many milliseconds a visit has its keys kept; Redis counts no finer."""
    return -(-remembered(visit) // timedelta(milliseconds=1))
