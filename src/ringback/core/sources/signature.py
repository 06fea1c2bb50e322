"""The signatures that each source adds to its requests.

Twilio: HMAC-SHA1 with the Auth Token over the URL and the sorted form parameters, in Base64
(twilio.com/docs/usage/webhooks/webhooks-security).
KORE: the plain SHA-256 of secret, method, URL and body joined together, in hex; not an HMAC
(docs.korewireless.com/developers/how-to/webhooks/validate-webhook-signatures).
Standard Webhooks: HMAC-SHA256 over id, timestamp and body with dots between (standardwebhooks.com).
"""

import base64
import hashlib
from collections.abc import Iterable
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from _hashlib import HASH

BODY_HASH: Final = "bodySHA256"
"""The parameter of a URL with which Twilio covers a body that is not a form by its signature."""
_STANDARD_PREFIX: Final = "whsec_"
_BLOCK: Final = 64
"""The block size of both SHA-1 and SHA-256 in bytes."""
_MOST_PREPARED: Final = 1024
"""Maximum number of secrets (for KORE: secrets and URLs) whose part of a hash is remembered."""


def sign_as_twilio(
    url: str,
    parameters: Iterable[tuple[str, str]] = (),
    *,
    auth_token: str,
    digest: Literal["sha1", "sha256"] = "sha1",
) -> str:
    """Return the X-Twilio-Signature of a request.

    `url` is the requested URL, with its query and without its fragment. `parameters` are those of a
    form body, decoded; a GET request has none. `digest` is `sha256` only for requests whose headers
    name SHA-256; such requests are signed with a shared key instead of the Auth Token.

    >>> form = [("Digits", "5678"), ("Digits", "1234"), ("Digits", "1234")]
    >>> form += [("Sid", "CA123"), ("SidAccount", "AC123")]
    >>> sign_as_twilio("https://mycompany.com/myapp.php?foo=1&bar=2", form, auth_token="12345")
    'IK+Dwps556ElfBT0I3Rgjkr1wJU='
    """
    # Twilio's own check ignores repeated values (it uses a set) and sorts by name, then by value.
    signed = "".join([url, *chain.from_iterable(sorted(set(parameters)))])
    return base64.b64encode(_hmac(auth_token.encode(), signed.encode(), digest)).decode()


def body_hash(body: bytes) -> str:
    """Return a body's SHA-256 in hex, the value of the parameter `BODY_HASH`."""
    return hashlib.sha256(body).hexdigest()


def sign_as_kore(method: str, resource: str, body: bytes = b"", *, secret: str) -> str:
    """Return the Kore-Signature of a request; empty if the secret is empty.

    `resource` is the configured URL without query and fragment, not normalised in any way.

    >>> form = b"field1=value1&field2=value2"
    >>> sign_as_kore("POST", "https://testendpoint.com", form, secret="12345")
    'f562d3959f68b5a30fc7a63f8bbf40987f633575f4231ffceb4f76dd154ea3ce'
    """
    if not secret:
        return ""
    hashed = _kore_prefix(secret, method, resource).copy()
    hashed.update(body)
    return hashed.hexdigest()


def hash_before_body(method: str, resource: str, *, secret: str) -> "HASH":
    """Return a hash of the text that KORE signs before the body.

    Updated with the body, it becomes the signature. To sign many bodies for one URL, make it once
    and update a copy for each body.
    """
    return hashlib.sha256(f"{secret}{method}{resource}".encode())


def sign_as_standard_webhooks(token: str, timestamp: int, body: bytes, *, secret: str) -> str:
    """Return the `webhook-signature` of a request; empty if the secret is empty.

    If the secret begins with `whsec_`, the key is the rest of it, decoded from Base64, as in the
    specification. Any other secret is the key itself; receivers then need `whsec_` and the secret
    in Base64.

    >>> sign_as_standard_webhooks("msg_1", 1614265330, b"{}", secret="whsec_MTIzNDU=")
    'v1,1q0CuRN7WHFt/0BKCtxGxLpn19d+WLP9x43ktq4w4J4='
    """
    if not secret:
        return ""
    key = secret.encode()
    if secret.startswith(_STANDARD_PREFIX):
        key = base64.b64decode(secret.removeprefix(_STANDARD_PREFIX) + "==")
    signature = _hmac(key, f"{token}.{timestamp}.".encode() + body, "sha256")
    return f"v1,{base64.b64encode(signature).decode()}"


def sign_by_hmac_sha256(body: bytes, *, secret: str) -> str:
    """Return the HMAC-SHA256 of a body in hex; empty if the secret is empty.

    >>> sign_by_hmac_sha256(b"Hello, World!", secret="It's a Secret to Everybody")
    '757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17'
    """
    return _hmac(secret.encode(), body, "sha256").hex() if secret else ""


@lru_cache(_MOST_PREPARED)
def _kore_prefix(secret: str, method: str, resource: str) -> "HASH":
    return hash_before_body(method, resource, secret=secret)


def _hmac(key: bytes, message: bytes, digest: str) -> bytes:
    """Return the HMAC of a message, in half the time of `hmac.digest`, which prepares the key."""
    inner, outer = _keyed(key, digest)
    inner, outer = inner.copy(), outer.copy()
    inner.update(message)
    outer.update(inner.digest())
    return outer.digest()


@lru_cache(_MOST_PREPARED)
def _keyed(key: bytes, digest: str) -> "tuple[HASH, HASH]":
    """Return the inner and the outer hash of RFC 2104 after they have read their keys."""
    if len(key) > _BLOCK:
        key = hashlib.new(digest, key).digest()
    padded = key.ljust(_BLOCK, b"\0")
    inner, outer = (bytes(byte ^ pad for byte in padded) for pad in (0x36, 0x5C))
    return hashlib.new(digest, inner), hashlib.new(digest, outer)
