"""The vendors' rules, implemented a second time: slow, simple, and without any of our code."""

import hashlib
import re
from collections.abc import Iterator

from ringback.core.policy.source_policy import Source
from ringback.receiver import Callback
from tests.fuzz.genuine import (
    PLACE,
    SETTINGS,
    SIGNATURES,
    Case,
    form_as_signed,
    pairs_of,
    sign_as_twilio,
)


def is_signed(case: Case, callback: Callback) -> bool:
    """Return True if the vendors' rules alone make the signature an acceptable one."""
    given = [value for name, value in case.headers if name.lower() == _signature_name(case)]
    if not callback.is_signed:
        return given == [""] and case.settings["accept_unsigned_kore"]
    if not _leads_to(case, callback):
        return False
    [signature] = given
    if case.source is Source.KORE:
        return signature in set(_signatures_of_kore(case, callback))
    return signature in set(_signatures_of_twilio(case, callback))


def _signature_name(case: Case) -> str:
    return SIGNATURES[case.source].lower()


def _leads_to(case: Case, callback: Callback) -> bool:
    """Return True if the callback's URL is the receiver's, with its placeholder filled in."""
    tenant = callback.url_values.get(PLACE.strip("{}"), "")
    came_in = case.target if PLACE in case.url.path else str(case.request.values("host"))
    is_there = tenant in came_in and tenant != "" if case.is_template else True
    return callback.url == case.url.wire.replace(PLACE, tenant) and is_there


def _signatures_of_kore(case: Case, callback: Callback) -> Iterator[str]:
    bare = callback.url.partition("?")[0]
    bodies = [case.body]
    if case.is_json:
        compact = compacted_slowly(case.body)
        bodies += [compact, escaped_slowly(compact)]
    for resource in _with_or_without_root(bare):
        for secret in case.settings["kore_secrets"]:
            for body in bodies:
                signed = f"{secret}{case.method}{resource}".encode() + body
                yield hashlib.sha256(signed).hexdigest()


def _signatures_of_twilio(case: Case, callback: Callback) -> Iterator[str]:
    """Yield the valid signatures; the hash of the body counts too, if it is not a form."""
    bare, _, query = callback.url.partition("?")
    settings = "".join(case.request.values(SETTINGS)).upper()
    kind = "twilio_shared_keys" if "HMAC" in settings else "twilio_auth_tokens"
    text = form_as_signed(pairs_of(case.body)) if case.request.is_form else ""
    queries = {query, case.request.query} if case.target else {query}
    if not case.request.is_form and case.body:
        proof = f"bodySHA256={hashlib.sha256(case.body).hexdigest()}"
        queries = {f"{query}&{proof}" if query else proof, *(q for q in queries if proof in q)}
    for resource in _with_or_without_root(bare):
        for url in _with_or_without_port(resource):
            for rest in {""} if queries == {""} else queries:
                for mark in ("?", ""):
                    signed = f"{url}{mark}{rest}{text}".encode()
                    for secret in case.settings[kind]:
                        digest = "sha256" if "256" in settings else "sha1"
                        yield sign_as_twilio(secret, signed, digest)


def _with_or_without_root(url: str) -> set[str]:
    has_path = url.count("/") > 2 and not (url.count("/") == 3 and url.endswith("/"))
    return {url} if has_path else {url.rstrip("/"), url.rstrip("/") + "/"}


def _with_or_without_port(url: str) -> set[str]:
    found = re.fullmatch(r"([a-zA-Z]+)(://(?:\[[^\]]*\]|[^:/]*))(:[0-9]+)?(.*)", url)
    assert found is not None
    scheme, host, port, rest = found.groups(default="")
    default = ":443" if scheme.lower() == "https" else ":80"
    return {f"{scheme}{host}{its}{rest}" for its in ("", port or default)}


def compacted_slowly(body: bytes) -> bytes:
    """Remove the white space outside of strings, byte by byte."""
    kept, is_in_string, is_escaped = bytearray(), False, False
    for byte in body:
        if is_in_string or byte not in b" \t\r\n":
            kept.append(byte)
        if is_escaped:
            is_escaped = False
        elif is_in_string and byte == ord("\\"):
            is_escaped = True
        elif byte == ord('"'):
            is_in_string = not is_in_string
    return bytes(kept)


def escaped_slowly(body: bytes) -> bytes:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return body
    written = []
    for char in text:
        code = ord(char)
        if code > 0xFFFF:
            high, low = 0xD800 + ((code - 0x10000) >> 10), 0xDC00 + ((code - 0x10000) & 0x3FF)
            written.append(f"\\u{high:04x}\\u{low:04x}")
        else:
            written.append(char if code < 0x80 else f"\\u{code:04x}")
    return "".join(written).encode()
