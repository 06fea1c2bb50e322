"""The Redis store: its keys, their expiry, and the errors if Redis can't be reached."""

from collections.abc import Iterator
from typing import Any

import pytest
import redis
import redis.asyncio

from ringback.core.policy.source_policy import Source
from ringback.receiver.dedupe import (
    AsyncRedisDedupe,
    ClaimedByOther,
    ClaimWon,
    DedupeClaimRequest,
    DedupeUnavailable,
    RedisDedupe,
    WorkAlreadyDone,
)
from tests.unit.receiver.dedupe.visits import HOUR, MILLISECOND, SECOND, visit


@pytest.fixture
def client(redis_socket: str) -> Iterator[redis.Redis]:
    with redis.Redis(unix_socket_path=redis_socket, decode_responses=True) as client:
        client.flushall()
        yield client


def twilio(owner: str) -> DedupeClaimRequest:
    return visit(owner, source=Source.TWILIO, content="ready")


def test_it_does_not_matter_if_the_client_decodes(client: redis.Redis) -> None:
    seen = RedisDedupe(client)
    assert seen.claim(visit("a")) == ClaimWon(is_retry=False)
    assert isinstance(seen.claim(visit("b")), ClaimedByOther)
    assert seen.done(visit("a"))
    assert seen.claim(visit("c")) == WorkAlreadyDone()


def test_all_keys_expire_and_are_on_one_node(client: redis.Redis) -> None:
    seen = RedisDedupe(client, prefix="app")
    seen.claim(visit("a", keep=HOUR, content="ready"))
    seen.claim(twilio("b"))
    seen.claim(visit("c", token="2", content="ready", within=10 * SECOND))
    keys = [str(key) for key in client.scan_iter()]
    assert sorted(keys) == [
        "{app}:kore:2",
        "{app}:kore:token-1",
        "{app}:twilio:token-1",
        "{app}:unpaired:kore:ready",
    ]
    left = {key: client.pttl(key) for key in keys}
    assert 0 < left.pop("{app}:unpaired:kore:ready") <= 10_001
    assert all(HOUR / MILLISECOND - 60_000 < time <= HOUR / MILLISECOND for time in left.values())


def test_two_prefixes_are_independent(client: redis.Redis) -> None:
    stores = [RedisDedupe(client, prefix=prefix) for prefix in ("one", "two")]
    assert [seen.claim(visit("a")) for seen in stores] == [ClaimWon(is_retry=False)] * 2


def test_a_token_whose_event_is_gone_is_new(client: redis.Redis) -> None:
    seen = RedisDedupe(client)
    seen.claim(visit("a", content="ready"))
    seen.claim(twilio("b"))
    client.delete("{ringback:seen}:kore:token-1")
    assert seen.claim(twilio("c")) == ClaimWon(is_retry=False)
    assert isinstance(seen.claim(twilio("d")), ClaimedByOther)


def test_an_unreachable_server_is_reported_without_its_password() -> None:
    with (
        redis.Redis.from_url("redis://:s3cret@127.0.0.1:1/0") as client,
        pytest.raises(DedupeUnavailable) as raised,
    ):
        RedisDedupe(client).claim(visit("a"))
    assert str(raised.value) == (
        "Redis can't be used with the prefix 'ringback:seen': ConnectionError; the exception's"
        " __cause__ has the client's message"
    )


@pytest.mark.parametrize("kind", [RedisDedupe, AsyncRedisDedupe])
def test_a_url_is_not_a_client(kind: Any) -> None:
    url: Any = "redis://:password@localhost"
    with pytest.raises(TypeError, match=r"got a str; .* after: pip install redis$") as refused:
        kind(url)
    assert "password" not in str(refused.value)


async def test_a_client_of_the_wrong_kind_is_named(client: redis.Redis, redis_socket: str) -> None:
    with pytest.raises(TypeError, match=r"blocks the event loop, .*; give it one of redis.asyncio"):
        await AsyncRedisDedupe(client).claim(visit("a"))
    async with redis.asyncio.Redis(unix_socket_path=redis_socket) as waiting:
        with pytest.raises(TypeError, match="is asynchronous; use AsyncPostgresDedupe or AsyncRed"):
            RedisDedupe(waiting).claim(visit("a"))


async def test_both_kinds_share_their_keys(client: redis.Redis, redis_socket: str) -> None:
    assert RedisDedupe(client).claim(visit("a")) == ClaimWon(is_retry=False)
    async with redis.asyncio.Redis(unix_socket_path=redis_socket) as waiting:
        assert isinstance(await AsyncRedisDedupe(waiting).claim(visit("b")), ClaimedByOther)


async def test_an_unreachable_server_is_reported_in_an_event_loop() -> None:
    async with redis.asyncio.Redis.from_url("redis://:s3cret@127.0.0.1:1/0") as client:
        with pytest.raises(DedupeUnavailable, match="ConnectionError") as raised:
            await AsyncRedisDedupe(client).claim(visit("a"))
    assert "s3cret" not in str(raised.value)
