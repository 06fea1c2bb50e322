"""The shards that destinations are divided into."""

from collections import Counter

from ringback.core.callbacks.shards import SHARDS, shard_of, share_of


def test_a_destination_is_always_in_the_same_shard() -> None:
    # The numbers are stored, so they must never change.
    assert shard_of("https://example.com:443") == 94
    assert shard_of("http://127.0.0.1:9000") == 49
    assert shard_of("https://bücher.example:443") == 63


def test_destinations_are_spread_over_all_shards() -> None:
    counts = Counter(shard_of(f"https://{number}.example.com:443") for number in range(25_600))
    assert set(counts) == set(range(SHARDS))
    assert max(counts.values()) < 200


def test_processes_share_all_shards_evenly() -> None:
    assert [share_of(count) for count in (1, 2, 3, 256, 300)] == [256, 128, 86, 1, 1]
