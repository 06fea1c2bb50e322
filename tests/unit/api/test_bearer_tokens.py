"""Bearer tokens: their claims, their lifetime, and tokens that this server did not issue."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from ringback.api.bearer_tokens import BearerTokens
from ringback.core.accounts.account import AccountStatus
from ringback.core.accounts.client_credentials import (
    EVERYTHING,
    LIFETIMES,
    ApiClientType,
    ApiScope,
    ClientCredentials,
    Principal,
)
from ringback.core.errors import Forbidden, InvalidBearerToken
from ringback.ports import Store, TokenSigningKey
from tests.fakes import ACCOUNT_SID, NOW, FakeClock, SeededRandomness, an_account, an_api_client
from tests.memory_store import MemoryStore

ADMIN = an_api_client()
STANDARD = an_api_client(
    sid=f"{ADMIN.sid[:-1]}b", type=ApiClientType.STANDARD, products=frozenset({ApiScope.SUPER_SIM})
)
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
PUBLIC = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
NOT_OURS = "this server did not issue this token"
Claims = dict[str, Any]
HELD = ("iss", "aud", "sub", "exp", "iat", "jti", "client_id", "scopes")


@pytest.fixture
async def empty() -> MemoryStore:
    """A store with an account and its clients, but without a signing key."""
    store = MemoryStore()
    await store.transact(lambda tx: tx.accounts.add(an_account(), []))
    for client in (ADMIN, STANDARD):
        await store.transact(lambda tx, client=client: tx.api_clients.add(client))
    return store


@pytest.fixture
async def store(empty: MemoryStore) -> MemoryStore:
    await empty.transact(lambda tx: tx.api_clients.keep_token_key(TokenSigningKey("key-1", PEM)))
    return empty


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def tokens(store: MemoryStore, clock: FakeClock) -> BearerTokens:
    return BearerTokens(store, clock)


async def token_of(tokens: BearerTokens, client: ClientCredentials = ADMIN, seed: int = 0) -> str:
    return await tokens.make(client, an_account(), SeededRandomness(seed))


def claims_in(token: str) -> Claims:
    return jwt.decode(token, options={"verify_signature": False})


async def refusal_of(tokens: BearerTokens, token: str) -> str:
    with pytest.raises(InvalidBearerToken) as refused:
        await tokens.caller_of(token)
    assert (refused.value.status, refused.value.code) == (401, 20003)
    assert token not in refused.value.message or len(token) < 4
    return refused.value.message


# ---- the claims of a token -----------------------------------------------------------------------


async def test_a_token_of_an_admin_client_has_the_documented_claims(tokens: BearerTokens) -> None:
    token = await token_of(tokens)
    claims = claims_in(token)
    access = ["Read", "Write", "Modify", "Delete"]
    assert claims.pop("jti")
    assert claims == {
        "iss": "ringback",
        "aud": "ringback",
        "sub": ADMIN.sid,
        "iat": int(NOW.timestamp()),
        "exp": int(NOW.timestamp()) + 3600,
        "account-id": an_account().kore_id,
        "client-type": "admin",
        "client_id": ADMIN.sid,
        "scopes": {
            "products": ["ProgrammableWireless", "SuperSIM"],
            "globalResources": [
                {"resourceName": name, "access": access}
                for name in ("API Clients", "Accounts", "Webhooks")
            ],
        },
    }
    assert jwt.get_unverified_header(token) == {"alg": "RS256", "typ": "JWT", "kid": "key-1"}


async def test_a_token_of_a_standard_client_names_only_its_products(tokens: BearerTokens) -> None:
    claims = claims_in(await token_of(tokens, STANDARD))
    assert claims["client-type"] == "standard"
    assert claims["scopes"] == {"products": ["SuperSIM"]}


async def test_no_two_tokens_are_the_same(tokens: BearerTokens) -> None:
    one, other = await token_of(tokens, seed=1), await token_of(tokens, seed=2)
    assert claims_in(one)["jti"] != claims_in(other)["jti"]


async def test_anybody_can_verify_it_with_the_public_key(tokens: BearerTokens) -> None:
    options: Any = {"verify_exp": False, "verify_iat": False}
    token = await token_of(tokens)
    assert jwt.decode(token, PUBLIC, ["RS256"], audience="ringback", options=options)


# ---- the client of a token -----------------------------------------------------------------------


async def test_a_token_has_the_rights_of_its_client(tokens: BearerTokens) -> None:
    for client, areas in ((ADMIN, EVERYTHING), (STANDARD, frozenset({ApiScope.SUPER_SIM}))):
        caller = await tokens.caller_of(await token_of(tokens, client))
        assert caller == Principal(an_account(), client.actor, areas, NOW + timedelta(hours=1))


@pytest.mark.parametrize("lifetime", LIFETIMES.values(), ids=LIFETIMES)
async def test_it_is_valid_for_its_clients_lifetime_by_the_servers_clock(
    tokens: BearerTokens, clock: FakeClock, lifetime: timedelta
) -> None:
    token = await token_of(tokens, replace(ADMIN, lifetime=lifetime))
    clock.set(NOW + lifetime - timedelta(seconds=1))
    assert (await tokens.caller_of(token)).account == an_account()
    clock.set(NOW + lifetime)
    ended = f"the token expired at {NOW + lifetime:%Y-%m-%dT%H:%M:%SZ}; request a new one"
    assert await refusal_of(tokens, token) == ended


async def test_without_its_client_it_is_no_longer_valid(store: Store, tokens: BearerTokens) -> None:
    token = await token_of(tokens)
    await store.transact(lambda tx: tx.api_clients.remove(ADMIN.sid))
    assert (
        await refusal_of(tokens, token)
        == "the API client of this token was deleted; request a token with another client"
    )


async def test_in_a_suspended_account_it_is_not_valid(store: Store, tokens: BearerTokens) -> None:
    token = await token_of(tokens)
    suspended = replace(an_account(), status=AccountStatus.SUSPENDED)
    await store.transact(lambda tx: tx.accounts.save(suspended))
    with pytest.raises(Forbidden, match=f"account {ACCOUNT_SID} is suspended"):
        await tokens.caller_of(token)


# ---- tokens of another origin --------------------------------------------------------------------


def resigned(changed: Callable[[Claims], object], key: Any = PEM, alg: str | None = "RS256") -> Any:
    """Return a function that makes another token from the claims of a valid one."""

    def make(token: str) -> str:
        claims = claims_in(token)
        changed(claims)
        return jwt.encode(claims, key, alg)

    return make


def hs256_by_public_key(token: str) -> str:
    """Sign with the public key as if it were a shared secret, which the library refuses."""

    def encoded(part: bytes) -> str:
        return base64.urlsafe_b64encode(part).rstrip(b"=").decode()

    head = encoded(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
    signed = f"{head}.{token.split('.')[1]}"
    digest = hmac.new(PUBLIC, signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{encoded(digest)}"


def with_another_payload(token: str) -> str:
    head, _, signature = token.split(".")
    payload = resigned(lambda claims: claims.update({"client_id": STANDARD.sid}))(token)
    return f"{head}.{payload.split('.')[1]}.{signature}"


OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def as_they_are(_: Claims) -> None:
    """Return the claims unchanged."""


FORGED: dict[str, Callable[[str], str]] = {
    "nothing": lambda _: "",
    "something else": lambda _: "abc",
    "no ASCII": lambda _: "é.é.é",
    "cut off": lambda token: token[:-8],
    "without its signature": lambda token: f"{token.rsplit('.', 1)[0]}.",
    "with another payload": with_another_payload,
    "alg none": resigned(as_they_are, None, None),
    "HS256 by the public key": hs256_by_public_key,
    "PS256": resigned(as_they_are, PEM, "PS256"),
    "another server's key": resigned(as_they_are, OTHER_KEY),
    "another issuer": resigned(lambda claims: claims.update(iss="kore")),
    "another audience": resigned(lambda claims: claims.update(aud="kore")),
    **{
        f"without {claim}": resigned(lambda claims, claim=claim: claims.pop(claim))
        for claim in HELD
    },
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED)
async def test_a_forged_token_is_refused(tokens: BearerTokens, forge: Callable[[str], str]) -> None:
    token = await token_of(tokens)
    assert await refusal_of(tokens, forge(token)) == NOT_OURS
    assert (await tokens.caller_of(resigned(as_they_are)(token))).account == an_account()


async def test_if_no_token_was_ever_issued_none_is_accepted(
    empty: MemoryStore, store: MemoryStore, clock: FakeClock
) -> None:
    token = await token_of(BearerTokens(store, clock))
    nowhere = MemoryStore()
    assert await refusal_of(BearerTokens(nowhere, clock), token) == NOT_OURS
    assert await nowhere.transact(lambda tx: tx.api_clients.token_key()) is None


# ---- malformed claims, signed with our key -------------------------------------------------------

WHOLE = "be a whole number of seconds since 1970, up to 253402300799"
TEXT = "be ASCII text"
ODD: dict[str, tuple[Claims, str]] = {
    "exp as text": ({"exp": "tomorrow"}, f"exp must {WHOLE}"),
    "exp as a list": ({"exp": [1]}, f"exp must {WHOLE}"),
    "exp as a flag": ({"exp": True}, f"exp must {WHOLE}"),
    "exp with a fraction": ({"exp": 1e10}, f"exp must {WHOLE}"),
    "exp without an end": ({"exp": float("inf")}, f"exp must {WHOLE}"),
    "exp that is not a number": ({"exp": float("nan")}, f"exp must {WHOLE}"),
    "exp beyond the calendar": ({"exp": 253402300800}, f"exp must {WHOLE}"),
    "exp of 400 digits": ({"exp": 10**400}, f"exp must {WHOLE}"),
    "exp before 1970": ({"exp": -1}, f"exp must {WHOLE}"),
    "iat as text": ({"iat": "now"}, f"iat must {WHOLE}"),
    "nbf as text": ({"nbf": "now"}, f"nbf must {WHOLE}"),
    "client_id as an object": ({"client_id": {"a": 1}}, f"client_id must {TEXT}"),
    "client_id as a number": ({"client_id": 7}, f"client_id must {TEXT}"),
    "client_id in half a character": ({"client_id": "\ud800"}, f"client_id must {TEXT}"),
    "account-id as a list": ({"account-id": []}, f"account-id must {TEXT}"),
    "client-type as nothing": ({"client-type": None}, f"client-type must {TEXT}"),
    "scopes as a list": ({"scopes": ["SuperSIM"]}, "scopes must be an object"),
    "scopes as text": ({"scopes": "globalResources"}, "scopes must be an object"),
    "no products": ({"scopes": {}}, "scopes.products must be a list"),
    "products as text": ({"scopes": {"products": "SuperSIM"}}, "scopes.products must be a list"),
    "another product": (
        {"scopes": {"products": ["Voice"]}},
        "scopes.products must contain only SuperSIM, ProgrammableWireless",
    ),
    "a product that none can buy": (
        {"scopes": {"products": ["GlobalResources"]}},
        "scopes.products must contain only SuperSIM, ProgrammableWireless",
    ),
    "products in a list": (
        {"scopes": {"products": [["SuperSIM"]]}},
        "scopes.products must contain only SuperSIM, ProgrammableWireless",
    ),
    "resources as a flag": (
        {"scopes": {"products": [], "globalResources": True}},
        "scopes.globalResources must be a list",
    ),
    "resources as texts": (
        {"scopes": {"products": [], "globalResources": ["Webhooks"]}},
        "scopes.globalResources must be a list of objects",
    ),
}


@pytest.mark.parametrize(("claims", "why"), ODD.values(), ids=ODD)
async def test_an_invalid_claim_is_named(tokens: BearerTokens, claims: Claims, why: str) -> None:
    odd = resigned(lambda held: held.update(claims))(await token_of(tokens))
    assert await refusal_of(tokens, odd) == f"the token's claim {why}; request a new token"


async def test_a_token_that_is_not_valid_yet_is_refused_by_the_servers_clock(
    tokens: BearerTokens, clock: FakeClock
) -> None:
    later = NOW + timedelta(minutes=1)
    begins = {"nbf": int(later.timestamp())}
    token = resigned(lambda held: held.update(begins))(await token_of(tokens))
    assert (
        await refusal_of(tokens, token)
        == f"the token is not valid before {later:%Y-%m-%dT%H:%M:%SZ}"
    )
    clock.set(later)
    assert (await tokens.caller_of(token)).account == an_account()


def raw(payload: str, head: str = '{"alg":"RS256"}') -> str:
    """Return a token with this text as its payload, JSON or not, signed with our key."""
    parts = [base64.urlsafe_b64encode(one.encode()).rstrip(b"=") for one in (head, payload)]
    signed = b".".join(parts)
    signature = KEY.sign(signed, padding.PKCS1v15(), hashes.SHA256())
    return f"{signed.decode()}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


DEEP = "[" * 20_000 + "]" * 20_000


@pytest.mark.parametrize(
    ("payload", "head"),
    [
        (f'{{"exp":{DEEP}}}', '{"alg":"RS256"}'),
        ("{}", f'{{"alg":"RS256","kid":{DEEP}}}'),
        ("[]", '{"alg":"RS256"}'),
        ("null", '{"alg":"RS256"}'),
        ("no JSON", '{"alg":"RS256"}'),
        ("{}", '{"alg":["RS256"]}'),
    ],
    ids=["deep", "deep head", "a list", "null", "no JSON", "a list of algorithms"],
)
async def test_signed_content_that_is_not_an_object_of_claims_is_refused(
    tokens: BearerTokens, payload: str, head: str
) -> None:
    assert await refusal_of(tokens, raw(payload, head)) == NOT_OURS


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
CLAIM = st.sampled_from([*HELD, "account-id", "client-type", "nbf", "products", "globalResources"])


@pytest.fixture(scope="module")
def server() -> BearerTokens:
    """The tokens of one server, which loads its key only once, as that takes long."""

    async def make() -> BearerTokens:
        store = MemoryStore()
        await store.transact(lambda tx: tx.accounts.add(an_account(), []))
        await store.transact(lambda tx: tx.api_clients.add(ADMIN))
        await store.transact(
            lambda tx: tx.api_clients.keep_token_key(TokenSigningKey("key-1", PEM))
        )
        return BearerTokens(store, FakeClock())

    return asyncio.run(make())


async def seen_with(odd: Claims, tokens: BearerTokens) -> Principal | InvalidBearerToken:
    """Return the client of a token with these changed claims, or the reason for its refusal."""
    claims = claims_in(await token_of(tokens))
    for name, value in odd.items():
        holder = claims["scopes"] if name in ("products", "globalResources") else claims
        if isinstance(holder, dict):
            holder[name] = value
    try:
        return await tokens.caller_of(raw(json.dumps(claims)))
    except InvalidBearerToken as refused:
        return refused


@settings(max_examples=150, deadline=None)
@given(odd=st.dictionaries(CLAIM, ANYTHING, min_size=1, max_size=3))
def test_a_token_with_any_claims_is_accepted_or_refused(server: BearerTokens, odd: Claims) -> None:
    seen = asyncio.run(seen_with(odd, server))
    if isinstance(seen, InvalidBearerToken):
        assert seen.status == 401
        assert len(seen.message) < 200
    else:
        assert seen.account == an_account()


# ---- keys ----------------------------------------------------------------------------------------


async def test_the_first_token_creates_the_key_for_all_others(
    empty: MemoryStore, clock: FakeClock
) -> None:
    tokens = BearerTokens(empty, clock)
    first, second = await token_of(tokens, seed=1), await token_of(tokens, seed=2)
    key = await empty.transact(lambda tx: tx.api_clients.token_key())
    assert key is not None
    loaded = load_pem_private_key(key.private_key.encode(), None)
    assert isinstance(loaded, rsa.RSAPrivateKey)
    assert loaded.key_size == 2048
    for token in (first, second):
        assert jwt.get_unverified_header(token)["kid"] == key.id
    restarted = BearerTokens(empty, clock)
    for token in (first, second, await token_of(restarted, seed=3)):
        assert (await restarted.caller_of(token)).account == an_account()


async def test_two_servers_that_create_the_key_at_once_have_the_same(
    empty: MemoryStore, clock: FakeClock
) -> None:
    servers = [BearerTokens(empty, clock) for _ in range(2)]
    made = await asyncio.gather(
        *(token_of(server, seed=number) for number, server in enumerate(servers))
    )
    assert len({jwt.get_unverified_header(token)["kid"] for token in made}) == 1
    for server in servers:
        for token in made:
            assert (await server.caller_of(token)).account == an_account()
