import pytest

from ringback.receiver.verification.body_diff import describe_change


@pytest.mark.parametrize(
    ("received", "words"),
    [
        (b"a=1&b=2", "the same parameters, written in another way"),
        (b"a=%31&b=2", "the same parameters, written in another way"),
        (b"b=2&a=1", "the same parameters in another order"),
        (b"a=1&b=3", "changed: b"),
        (b"a=1", "removed: b"),
        (b"a=1&b=2&c=3", "added: c"),
        (b"a=1&b=2&b=2", "changed: b"),
        (b"", "removed: a, b"),
        (b"\xff=1&a=1&b=2", "added: \ufffd"),
    ],
)
def test_a_change_is_named_by_its_parameters(received: bytes, words: str) -> None:
    assert describe_change(b"a=1&b=2", received) == words


def test_many_and_long_names_are_truncated() -> None:
    received = b"&".join(b"n" * 50 + str(number).encode() + b"=" for number in range(8))
    assert describe_change(b"", received) == f"added: {', '.join(['n' * 40 + '…'] * 5)} and 3 more"
