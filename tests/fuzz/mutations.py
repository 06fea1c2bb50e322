"""Changes that can happen to a request on its way, or that an attacker can make."""

import hashlib
import hmac
from collections.abc import Callable
from datetime import timedelta
from enum import Enum, auto
from random import Random
from typing import Final
from urllib.parse import quote_plus

from ringback.core.policy.source_policy import Source
from tests.fuzz.genuine import (
    NOW,
    PENDING,
    PLACE,
    SETTINGS,
    SIGNATURES,
    TOKENS,
    Case,
    form_as_signed,
    pairs_of,
    sign,
)
from tests.fuzz.length_extension import extended, padding_after


class Effect(Enum):
    """How a receiver must treat a genuine request after a change."""

    HARMLESS = auto()
    """It is still genuine, and must be accepted."""
    FORGED = auto()
    """It has to be rejected."""
    OPEN = auto()
    """Either is right; but if it is accepted, its content must be the signed one."""


Mutation = Callable[[Random, Case], Effect | None]
"""Changes a request and returns the effect; None if there is nothing to change."""


def _index(case: Case, name: str) -> int | None:
    return next((i for i, (n, _) in enumerate(case.headers) if n.lower() == name.lower()), None)


def _set(case: Case, name: str, value: str | None) -> bool:
    index = _index(case, name)
    if index is None:
        return False
    case.headers[index : index + 1] = [] if value is None else [(case.headers[index][0], value)]
    return True


def _signature(case: Case) -> str:
    index = _index(case, SIGNATURES[case.source])
    return "" if index is None else case.headers[index][1]


# ---- headers ------------------------------------------------------------------------------------


def letter_case_of_names(random: Random, case: Case) -> Effect:
    change = random.choice([str.upper, str.lower, str.title, str.swapcase])
    case.headers = [(change(name), value) for name, value in case.headers]
    return Effect.HARMLESS


def order_of_headers(random: Random, case: Case) -> Effect:
    random.shuffle(case.headers)
    return Effect.HARMLESS


def more_headers(random: Random, case: Case) -> Effect:
    for _ in range(random.randrange(1, 20)):
        name = random.choice(["X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "é", ""])
        value = random.choice(["https", "b.example, c.example", "99999", "", "\r\n", "\udcff"])
        case.headers.append((name, value))
    return Effect.HARMLESS


def another_host(random: Random, case: Case) -> Effect | None:
    host = random.choice(
        ["127.0.0.1:9000", "", "[", "a.example:x", "evil.example", "acme2.a.example"]
    )
    has_place = PLACE in case.url.host
    if not _set(case, "Host", host):
        return None
    return Effect.FORGED if has_place else Effect.HARMLESS


def token_changed(random: Random, case: Case) -> Effect | None:
    name, _ = TOKENS[case.source]
    value = random.choice([None, "", "RQ" + "0" * 32, "RQ" + "0" * 99, "é" * 34])
    return Effect.HARMLESS if _set(case, name, value) else None


def token_malformed(random: Random, case: Case) -> Effect | None:
    name, _ = TOKENS[case.source]
    value = random.choice(["\0", "x" * 257, "a\tb", "\udcff"])
    # Another mutation may put a right token there.
    return Effect.OPEN if _set(case, name, value) else None


def token_gone_but_required(random: Random, case: Case) -> Effect | None:
    name, _ = TOKENS[case.source]
    case.settings["require_token"] = True
    _set(case, name, random.choice([None, ""]))
    return Effect.OPEN


def token_twice(random: Random, case: Case) -> Effect:
    case.headers += [TOKENS[case.source]] * 2
    return Effect.HARMLESS


def header_of_the_other_family(random: Random, case: Case) -> Effect:
    other = Source.KORE if case.source is Source.TWILIO else Source.TWILIO
    choices = [(SIGNATURES[other], ""), (SIGNATURES[other], "0" * 64), TOKENS[other]]
    if other is Source.TWILIO:
        choices.append((SETTINGS, "key=1,algorithm=HMAC_SHA256"))
    case.headers.insert(random.randrange(len(case.headers)), random.choice(choices))
    return Effect.FORGED


def signature_gone(random: Random, case: Case) -> Effect | None:
    return Effect.FORGED if _set(case, SIGNATURES[case.source], None) else None


def signature_damaged(random: Random, case: Case) -> Effect | None:
    given = _signature(case)
    if not given:
        return None
    at = random.randrange(len(given))
    damaged = random.choice(
        [
            given[:at] + random.choice("0aA+/= é\0") + given[at + 1 :],
            given[:at],
            given + given[at],
            f" {given}",
            f"{given}\n",
            f"{given}, {given}",
            given.swapcase(),
            given[::-1],
            given.translate({ord("1"): 0x661, ord("a"): 0x430}),
            "",
        ]
    )
    if damaged == given:
        return None
    _set(case, SIGNATURES[case.source], damaged)
    return Effect.FORGED


def signature_twice(random: Random, case: Case) -> Effect | None:
    given = _signature(case)
    if not given:
        return None
    case.headers.append((SIGNATURES[case.source], random.choice([given, "", given[::-1]])))
    return Effect.FORGED


def upper_case_signature(random: Random, case: Case) -> Effect | None:
    given = _signature(case)
    if case.source is not Source.KORE or given == given.upper():
        return None
    _set(case, SIGNATURES[case.source], given.upper())
    return Effect.FORGED


def hmac_for_a_hash(random: Random, case: Case) -> Effect | None:
    if case.source is not Source.KORE:
        return None
    key = case.secret.encode()
    digest = hmac.new(key, case.signed.removeprefix(key), hashlib.sha256).hexdigest()
    return Effect.FORGED if _set(case, SIGNATURES[case.source], digest) else None


def signed_by_somebody(random: Random, case: Case) -> Effect | None:
    """Sign with a secret that isn't the receiver's, or that has another purpose."""
    of_kore = [PENDING, "another twilio_auth_tokens", "nobody's", "", case.secret[::-1] + "!"]
    of_twilio = ["another kore_secrets", "nobody's", "", PENDING]
    before = case.secret
    case.secret = random.choice(of_kore if case.source is Source.KORE else of_twilio)
    if case.source is Source.KORE:
        case.signed = case.secret.encode() + case.signed.removeprefix(before.encode())
    done = _set(case, SIGNATURES[case.source], sign(case))
    return Effect.FORGED if done else None


def settings_header(random: Random, case: Case) -> Effect | None:
    if case.source is not Source.TWILIO:
        return None
    has_one = _index(case, SETTINGS) is not None
    value, is_harmless = random.choice(
        [
            ("key=webhooks_sharedkey_1", not has_one),
            ("", not has_one),
            ("algorithm=", not has_one),
            ("algorithm= ", not has_one),
            ("algorithm=HMAC_MD5", False),
            ("algorithm=HMAC_SHA256,algorithm=HMAC_SHA1", False),
            ("algorithm=\0é", False),
        ]
    )
    case.headers.append((SETTINGS, value))
    # Beside the header that names the algorithm, a signature without one has no effect.
    if is_harmless or (has_one and "HMAC" not in value and "\0" not in value):
        return Effect.HARMLESS
    return Effect.FORGED


def settings_header_gone(random: Random, case: Case) -> Effect | None:
    index = _index(case, SETTINGS)
    if index is None:
        return None
    _, value = case.headers.pop(index)
    return Effect.FORGED if "HMAC" in value else Effect.OPEN


def content_type(random: Random, case: Case) -> Effect:
    kind = random.choice(
        ["application/json", "text/plain", "APPLICATION/X-WWW-FORM-URLENCODED", "\udcff", "json"]
    )
    case.headers = [pair for pair in case.headers if pair[0].lower() != "content-type"]
    case.headers.append(("Content-Type", kind))
    return Effect.OPEN


def date(random: Random, case: Case) -> Effect | None:
    value = random.choice(
        [
            f"{NOW - timedelta(minutes=6):%Y-%m-%dT%H:%M:%SZ}",
            f"{NOW + timedelta(days=9999):%Y-%m-%dT%H:%M:%SZ}",
            "0001-01-01T00:00:00Z",
            "Fri, 31 Dec 9999 23:59:59 -2359",
            "Sat, 01 Jan 0001 00:00:00 +2359",
            "Mon, 99 Jan 99999999999 00:00:00 GMT",
            "2024-07-03T14:40:58+00:00",
            "",
            "\udcff",
            "Wed, 03 Jul 2024 14:40:58 -99999999999",
        ]
    )
    if not _set(case, "Date", value):
        return None
    return Effect.FORGED if "max_age" in case.settings else Effect.HARMLESS


def date_gone_or_twice(random: Random, case: Case) -> Effect | None:
    index = _index(case, "Date")
    if index is None:
        return None
    if random.random() < 0.5:
        case.headers.append(case.headers[index])
        strict = True
    else:
        _set(case, "Date", None)
        strict = case.source is Source.KORE
    return Effect.FORGED if strict and "max_age" in case.settings else Effect.HARMLESS


# ---- body ---------------------------------------------------------------------------------------


def _is_form(case: Case) -> bool:
    return case.method == "POST" and not case.is_json


def form_in_another_order(random: Random, case: Case) -> Effect | None:
    parts = case.body.split(b"&")
    if not _is_form(case) or len(parts) < 2:
        return None
    moved = random.sample(parts, len(parts))
    is_same = moved == parts
    case.body = b"&".join(moved)
    return Effect.HARMLESS if is_same or case.source is Source.TWILIO else Effect.FORGED


def form_written_in_another_way(random: Random, case: Case) -> Effect | None:
    if not _is_form(case):
        return None
    before = case.body
    case.body = random.choice(
        [
            before.replace(b"+", b"%20"),
            before.replace(b"%20", b"+"),
            before.replace(b"a", b"%61"),
            before.replace(b"%C3", b"%c3"),
            before + b"&",
            b"&&" + before,
            before + b"&" + before if before else b"",
        ]
    )
    if case.source is Source.TWILIO and len(pairs_of(case.body)) > len(pairs_of(before)):
        return Effect.OPEN  # a name that a callback has once is there twice
    if case.body == before or case.source is Source.TWILIO:
        return Effect.HARMLESS
    return Effect.FORGED


def form_split_again(random: Random, case: Case) -> Effect | None:
    """Split a form at another place, into other names and values with the same signature."""
    pairs = pairs_of(case.body)
    names = [name for name, _ in pairs]
    if not _is_form(case) or case.source is not Source.TWILIO or "AccountSid" not in names:
        return None
    at = names.index("AccountSid")
    name, value = pairs[at]
    cut = random.choice([-3, -1, 1, 3])
    whole = name + value
    pairs[at] = (whole[: len(name) + cut], whole[len(name) + cut :])
    if form_as_signed(pairs) != form_as_signed(pairs_of(case.body)):
        return None
    is_of_sim = names.count("AccountSid") == 1 and {"SimSid", "SimStatus"} <= {*names}
    case.body = "&".join(f"{quote_plus(n)}={quote_plus(v)}" for n, v in pairs).encode()
    is_of_sim = is_of_sim and ("SimSid", "HS" + "a" * 32) in pairs
    return Effect.FORGED if is_of_sim else Effect.OPEN


def slash_of_the_url_moved(random: Random, case: Case) -> Effect | None:
    """Move the slash at the end of a URL without a path to the body."""
    if not case.body or case.url.path not in ("", "/") or case.method != "POST":
        return None
    case.body = b"/" + case.body
    return Effect.FORGED


def parameters_changed(random: Random, case: Case) -> Effect | None:
    if not _is_form(case):
        return None
    before = pairs_of(case.body)
    parts = case.body.split(b"&") if case.body else []
    at = random.randrange(len(parts)) if parts else 0
    more = random.choice(
        [b"Forged=1", b"Forged=", b"=Forged", b"SimStatus=forged", b"%ff", b"\xff"]
    )
    parts[at : at + random.randrange(2)] = random.choice([[], [more]])
    case.body = b"&".join(parts)
    if case.source is Source.KORE:
        return Effect.OPEN if pairs_of(case.body) == before else Effect.FORGED
    texts = ["".join(n + v for n, v in sorted(set(p))) for p in (before, pairs_of(case.body))]
    return Effect.HARMLESS if texts[0] == texts[1] else Effect.FORGED


def bytes_changed(random: Random, case: Case) -> Effect | None:
    body = bytearray(case.body)
    for _ in range(random.randrange(1, 4)):
        at = random.randrange(len(body) + 1)
        body[at : at + random.randrange(3)] = random.randbytes(random.randrange(3))
    case.body = bytes(body)
    return Effect.OPEN


def white_space_in_json(random: Random, case: Case) -> Effect | None:
    """Put white space between two tokens, outside of strings."""
    if not case.is_json or case.method != "POST":
        return None
    more = random.choice([b" ", b"\n", b"\r\n\t", b" " * 99])
    case.body = random.choice([more + case.body, case.body + more])
    return Effect.HARMLESS if case.source is Source.KORE else Effect.FORGED


def white_space_in_a_string(random: Random, case: Case) -> Effect | None:
    at = case.body.find(b'"')
    if not case.is_json or at < 0:
        return None
    case.body = case.body[: at + 1] + random.choice([b" ", b"\t"]) + case.body[at + 1 :]
    return Effect.FORGED


def no_body(random: Random, case: Case) -> Effect | None:
    if not case.body.strip(b"&"):
        return None
    case.body = b""
    return Effect.FORGED


def body_for_a_get(random: Random, case: Case) -> Effect | None:
    if case.method != "GET":
        return None
    case.body = random.choice([b"SimStatus=forged", b"\n", b"{}", b"&"])
    return Effect.OPEN if case.body == b"&" else Effect.FORGED


def long_body(random: Random, case: Case) -> Effect | None:
    case.body += random.choice([b"\\", b'"', b"\xff", b"%41+", b"&a", b" "]) * 3000
    return Effect.OPEN


def body_extended_by_its_digest(random: Random, case: Case) -> Effect | None:
    """Extend the signed text without knowing the secret, only its length.

    KORE's signature is a plain hash with the secret in front.
    """
    given = _signature(case)
    if case.source is not Source.KORE or given != sign(case):
        return None
    more = random.choice([b"&SimStatus=forged", b"", b"]"])
    length = len(case.signed)
    case.body += padding_after(length) + more
    _set(case, SIGNATURES[Source.KORE], extended(given, length, more))
    return Effect.FORGED


# ---- method and target --------------------------------------------------------------------------


def another_method(random: Random, case: Case) -> Effect:
    before = case.method
    case.method = random.choice(["PUT", "post", "GET", "POST", "", "HEAD", "\udcff"])
    if case.method == before:
        return Effect.HARMLESS
    # Twilio does not sign the method.
    is_open = case.source is Source.TWILIO and case.method in ("GET", "POST")
    return Effect.OPEN if is_open else Effect.FORGED


def target_untold(random: Random, case: Case) -> Effect:
    case.target = ""
    if case.method == "GET" or case.is_template:
        return Effect.FORGED
    return Effect.HARMLESS


def query_changed(random: Random, case: Case) -> Effect | None:
    if not case.target:
        return None
    more = random.choice(["foo=baz", "SimStatus=forged", "bodySHA256=0", "x"])
    side = random.choice(["front", "end"])
    path, _, query = case.target.partition("?")
    case.target = f"{path}?{query}&{more}" if side == "end" else f"{path}?{more}&{query}"
    if case.source is Source.KORE and case.method == "GET" and side == "end":
        return Effect.HARMLESS
    if case.source is Source.KORE and case.method == "GET" and not case.url.query.strip("?&="):
        return Effect.OPEN
    return Effect.FORGED


def query_gone(random: Random, case: Case) -> Effect | None:
    if not case.target:
        return None
    path, _, query = case.target.partition("?")
    case.target = path
    if not pairs_of(query):
        return Effect.OPEN
    if pairs_of(case.url.query[1:]) or case.source is Source.TWILIO:
        return Effect.FORGED
    return Effect.HARMLESS


def query_written_in_another_way(random: Random, case: Case) -> Effect | None:
    path, mark, query = case.target.partition("?")
    if "foo=bar" not in query:
        return None
    case.target = f"{path}{mark}{query.replace('foo=bar', 'f%6fo=bar')}"
    if case.source is Source.KORE or case.target.partition("?")[2] == "f%6fo=bar":
        return Effect.HARMLESS
    return Effect.OPEN


def another_path(random: Random, case: Case) -> Effect | None:
    """Change the path, as a proxy does that removes a prefix."""
    if not case.target:
        return None
    path, mark, query = case.target.partition("?")
    other = random.choice(["/elsewhere", f"{path}/x", path + "x", "*", "/" + path, "/hook/other"])
    case.target = other + mark + query
    return Effect.FORGED if case.is_template else Effect.HARMLESS


def end_of_the_url_moved(random: Random, case: Case) -> Effect | None:
    """Move the border between URL and body, which KORE's signature does not protect."""
    path, mark, query = case.target.partition("?")
    if case.source is not Source.KORE or not case.is_template or len(path) < 2:
        return None
    at = random.randrange(1, len(path))
    case.target, case.body = path[:at] + mark + query, path[at:].encode() + case.body
    return Effect.FORGED


# ---- settings of the receiver -------------------------------------------------------------------


def another_url(random: Random, case: Case) -> Effect:
    before = case.url.origin + case.url.path
    match random.randrange(5):
        case 0:
            case.url.scheme = random.choice(["https", "http"])
        case 1:
            # The part of a template after its last placeholder has to stay.
            shorter = case.url.path.removesuffix("/") or "/x"
            case.url.path = f"{case.url.path}/x" if case.is_template else shorter
        case 2:
            case.url.host = "b.example"
        case 3:
            case.url.port = random.choice(["", ":8443", ":1"])
        case _:
            case.url.path += "/" if case.url.path else "/x"
    same = before == case.url.origin + case.url.path
    return Effect.HARMLESS if same else Effect.OPEN


def other_secrets(random: Random, case: Case) -> Effect | None:
    kinds = ("twilio_auth_tokens", "kore_secrets", "twilio_shared_keys")
    for name in kinds:
        if case.secret in (secrets := case.settings.get(name, [])):
            kept = [secret for secret in secrets if secret != case.secret]
            case.settings[name] = kept + random.choice([[], ["nobody has this"]])
    case.settings[random.choice(kinds)] = ["yet another"]
    return Effect.FORGED


def secret_of_the_other_family(random: Random, case: Case) -> Effect | None:
    if not case.secret:
        return None
    mine, theirs = "kore_secrets", "twilio_auth_tokens"
    if case.source is Source.TWILIO:
        mine, theirs = theirs, mine
    case.settings.pop("twilio_shared_keys", None)
    case.settings |= {mine: ["something else"], theirs: [case.secret]}
    return Effect.FORGED


def secret_still_pending(random: Random, case: Case) -> Effect | None:
    if case.source is not Source.KORE or not case.secret:
        return None
    case.settings |= {"kore_secrets": ["the old one"], "pending_kore_secrets": [case.secret]}
    return Effect.FORGED


def account_without_a_secret(random: Random, case: Case) -> Effect | None:
    if case.source is not Source.KORE or not _set(case, SIGNATURES[Source.KORE], ""):
        return None
    case.settings["accept_unsigned_kore"] = takes_it = random.random() < 0.5
    return Effect.OPEN if takes_it else Effect.FORGED


MUTATIONS: Final[tuple[Mutation, ...]] = (
    letter_case_of_names,
    order_of_headers,
    more_headers,
    another_host,
    token_changed,
    token_malformed,
    token_gone_but_required,
    token_twice,
    header_of_the_other_family,
    signature_gone,
    signature_damaged,
    signature_twice,
    upper_case_signature,
    hmac_for_a_hash,
    signed_by_somebody,
    settings_header,
    settings_header_gone,
    content_type,
    date,
    date_gone_or_twice,
    form_in_another_order,
    form_written_in_another_way,
    form_split_again,
    slash_of_the_url_moved,
    parameters_changed,
    bytes_changed,
    white_space_in_json,
    white_space_in_a_string,
    no_body,
    body_for_a_get,
    long_body,
    body_extended_by_its_digest,
    another_method,
    target_untold,
    query_changed,
    query_gone,
    query_written_in_another_way,
    another_path,
    end_of_the_url_moved,
    another_url,
    other_secrets,
    secret_of_the_other_family,
    secret_still_pending,
    account_without_a_secret,
)


def mutate(random: Random, case: Case) -> tuple[Effect, list[str]]:
    """Apply some changes, often only one; return their common effect, and their names."""
    effect, names = Effect.HARMLESS, list[str]()
    for mutation in random.sample(MUTATIONS, random.choice([0, 1, 1, 1, 1, 2, 3])):
        its = mutation(random, case)
        if its is None:
            continue
        names.append(mutation.__name__)
        # After the first harmful change, another one can undo it.
        effect = its if effect is Effect.HARMLESS else Effect.OPEN
    return effect, names
