"""Hashes the secrets of API keys and API clients, so that Ringback stores only the hashes.

A fast hash, SHA-256, is enough: the secrets have at least 128 random bits, so nobody can guess one.
"""

import hashlib
import hmac


def hash_secret(secret: str) -> str:
    """Return the SHA-256 of a secret, in hex.

    >>> hash_secret("made up")[:16]
    '48168fa99cb7e014'
    """
    return hashlib.sha256(secret.encode()).hexdigest()


def is_secret_of(secret_hash: str, secret: str) -> bool:
    """Return True if `secret` has this hash; checking a wrong secret takes the same time.

    >>> is_secret_of(hash_secret("made up"), "made up")
    True
    """
    return hmac.compare_digest(secret_hash, hash_secret(secret))


def is_same(known: str, given: str) -> bool:
    """Return True if two secrets are equal; compares them in constant time.

    >>> is_same("token", "tokén")
    False
    """
    return hmac.compare_digest(known.encode(), given.encode())
