"""SHA-256 from a given state: what a forger needs who knows a digest, but no secret."""

import struct
from typing import Final

_PRIMES: Final = [p for p in range(2, 312) if all(p % d for d in range(2, int(p**0.5) + 1))]
_MASK: Final = 0xFFFFFFFF


def _cube_root_bits(prime: int) -> int:
    """Return the first 32 bits of the fraction of a prime's cube root, computed with integers."""
    low, high = 0, 7 << 32
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if middle**3 <= prime << 96 else (low, middle)
    return low & _MASK


_ROUND: Final = [_cube_root_bits(prime) for prime in _PRIMES]


def padding_after(length: int) -> bytes:
    """Return the padding that SHA-256 adds to a message of this length."""
    return b"\x80" + b"\0" * ((55 - length) % 64) + struct.pack(">Q", length * 8)


def extended(digest: str, length: int, more: bytes) -> str:
    """Return the digest of a message with this length and digest, plus its padding, plus `more`."""
    state = struct.unpack(">8I", bytes.fromhex(digest))
    before = length + len(padding_after(length))
    data = more + padding_after(before + len(more))
    for at in range(0, len(data), 64):
        state = _compress(state, data[at : at + 64])
    return struct.pack(">8I", *state).hex()


def _compress(state: tuple[int, ...], block: bytes) -> tuple[int, ...]:
    words = list(struct.unpack(">16I", block))
    for i in range(16, 64):
        s0 = _turn(words[i - 15], 7) ^ _turn(words[i - 15], 18) ^ (words[i - 15] >> 3)
        s1 = _turn(words[i - 2], 17) ^ _turn(words[i - 2], 19) ^ (words[i - 2] >> 10)
        words.append((words[i - 16] + s0 + words[i - 7] + s1) & _MASK)
    a, b, c, d, e, f, g, h = state
    for word, constant in zip(words, _ROUND, strict=True):
        s1 = _turn(e, 6) ^ _turn(e, 11) ^ _turn(e, 25)
        first = h + s1 + ((e & f) ^ (~e & g)) + constant + word
        s0 = _turn(a, 2) ^ _turn(a, 13) ^ _turn(a, 22)
        second = s0 + ((a & b) ^ (a & c) ^ (b & c))
        h, g, f, e, d, c, b, a = g, f, e, (d + first) & _MASK, c, b, a, (first + second) & _MASK
    return tuple(
        (old + new) & _MASK for old, new in zip(state, (a, b, c, d, e, f, g, h), strict=True)
    )


def _turn(word: int, by: int) -> int:
    return (word >> by) | (word << (32 - by)) & _MASK
