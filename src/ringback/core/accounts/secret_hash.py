"""What is kept of a secret that only has to be recognised.

The secrets are ours and have 128 bits of chance or more, so nobody finds one by trying: a slow hash
as for passwords would protect nothing, and cost every sign-in.
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
    """Whether this is the secret that was hashed; takes as long for a wrong one.

    >>> is_secret_of(hash_secret("made up"), "made up")
    True
    """
    return hmac.compare_digest(secret_hash, hash_secret(secret))


def is_same(known: str, given: str) -> bool:
    """Whether two secrets are the same; takes as long for a wrong one.

    >>> is_same("token", "tokén")
    False
    """
    return hmac.compare_digest(known.encode(), given.encode())
