"""KORE's own APIs, checked against KORE's OpenAPI files if they are beside the checkout."""

import json
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode

import jsonschema_rs
import pytest
from starlette.types import ASGIApp

from tests.contract.published import FOLDER
from tests.fakes import ACCOUNT_SID, AUTH_TOKEN, an_account
from tests.memory_store import MemoryStore
from tests.unit.api.caller import Answer, Caller
from tests.unit.api.world import app_on

TOKEN_FILE: Final = "kore_token_api_v1.json"
FILES: Final = {
    "webhook.api.korewireless.com": "kore-webhook-v1.json",
    "client.api.korewireless.com": "kore_client_v1.json",
    "iam.api.korewireless.com": "kore-iam-v1.json",
    "api.korewireless.com": TOKEN_FILE,
}
TOKENS: Final = "/api-services/v1/auth/token"
NAMED: Final = {"Name": "mine"}
CLIENT: Final = {"name": "mine", "locked": False, "scopes": {"products": ["SuperSIM"]}}

needs_files = pytest.mark.skipif(
    not (FOLDER / TOKEN_FILE).exists(), reason="the OpenAPI files are not beside the checkout"
)


@dataclass
class Kore:
    """A client of KORE's APIs, at the host names of KORE."""

    app: ASGIApp
    made: dict[str, str] = field(default_factory=dict[str, str])
    """The values created before, by their names in paths."""

    async def call(
        self,
        verb: str,
        host: str,
        target: str,
        *body: object,
        credentials: tuple[str, str] | None = (ACCOUNT_SID, AUTH_TOKEN),
        **headers: str,
    ) -> Answer:
        caller = Caller(self.app, credentials=credentials, host=host)
        parts = [json.dumps(each).encode() for each in body]
        kind = {"content-type": "application/json"} if body else {}
        return await caller.call(verb, target, *parts, headers=kind | headers)

    async def token(self, **form: str) -> Answer:
        caller = Caller(self.app, credentials=None, host="api.korewireless.com")
        return await caller.post(TOKENS, form)


@pytest.fixture
async def kore() -> Kore:
    store = MemoryStore()
    account = an_account(kore_secret="")
    await store.transact(lambda tx: tx.accounts.add(account, []))
    kore = Kore(app_on(store), {"account_id": account.kore_id})
    first = await kore.call("POST", "webhook.api.korewireless.com", "/v1/secrets", NAMED)
    client = await kore.call("POST", "client.api.korewireless.com", "/v1/clients", CLIENT)
    kore.made |= {"id": first.json["id"], "client_id": client.json["client_id"]}
    kore.made |= {"client_secret": client.json["client_secret"]}
    return kore


@dataclass(frozen=True)
class Call:
    """One call of an operation, and its expected result."""

    verb: str
    host: str
    path: str
    status: int
    body: tuple[object, ...] = ()
    query: dict[str, str] = field(default_factory=dict[str, str])
    is_signed_in: bool = True
    path_id: str | None = None
    """The value of the path's parameters, unless it is one that was created before."""

    @property
    def name(self) -> str:
        return f"{self.verb} {self.path} {self.status} {json.dumps([*self.body, self.query])}"


WEBHOOK, CLIENTS, IAM, _ = FILES
PAGE: Final = {"page_size": "1", "page_number": "1"}

CALLS: Final = [
    Call("POST", WEBHOOK, "/v1/secrets", 201, (NAMED,)),
    Call("POST", WEBHOOK, "/v1/secrets", 400, ({},)),
    Call("POST", WEBHOOK, "/v1/secrets", 400, ({"Name": 7},)),
    Call("POST", WEBHOOK, "/v1/secrets", 400, ({"Name": "\n"},)),
    Call("POST", WEBHOOK, "/v1/secrets", 400, (["Name"],)),
    Call("POST", WEBHOOK, "/v1/secrets", 401, (NAMED,), is_signed_in=False),
    Call("GET", WEBHOOK, "/v1/secrets", 200),
    Call("GET", WEBHOOK, "/v1/secrets", 200, query={**PAGE, "status": "active"}),
    Call("GET", WEBHOOK, "/v1/secrets", 200, query={**PAGE, "page_number": "9"}),
    Call("GET", WEBHOOK, "/v1/secrets", 400, query={"status": "disabled"}),
    Call("GET", WEBHOOK, "/v1/secrets", 400, query={"page_size": "0"}),
    Call("GET", WEBHOOK, "/v1/secrets", 401, is_signed_in=False),
    Call("PATCH", WEBHOOK, "/v1/secrets/{id}", 200, ({"Name": "other", "Status": "active"},)),
    Call("PATCH", WEBHOOK, "/v1/secrets/{id}", 400, ({"Status": "pending"},)),
    Call("PATCH", WEBHOOK, "/v1/secrets/{id}", 400, ({"Status": "Active"},)),
    Call("PATCH", WEBHOOK, "/v1/secrets/{id}", 400, ({},)),
    Call("PATCH", WEBHOOK, "/v1/secrets/{id}", 401, ({},), is_signed_in=False),
    Call("PATCH", WEBHOOK, "/v1/secrets/{id}", 404, (NAMED,), path_id=f"whs_{'0' * 26}"),
    Call("DELETE", WEBHOOK, "/v1/secrets", 405),
    Call("POST", CLIENTS, "/v1/clients", 201, (CLIENT,)),
    Call("POST", CLIENTS, "/v1/clients", 201, ({**CLIENT, "locked": None},)),
    Call("POST", CLIENTS, "/v1/clients", 400, ({**CLIENT, "scopes": {"products": ["SMS"]}},)),
    Call("POST", CLIENTS, "/v1/clients", 400, ({**CLIENT, "more": 1},)),
    Call("POST", CLIENTS, "/v1/clients", 400, ({**CLIENT, "locked": "no"},)),
    Call("POST", CLIENTS, "/v1/clients", 400, ({"name": "mine", "locked": False},)),
    Call("POST", CLIENTS, "/v1/clients", 401, (CLIENT,), is_signed_in=False),
    Call("POST", CLIENTS, "/v1/clients", 404, ({**CLIENT, "account_id": "acct_other"},)),
    Call("GET", CLIENTS, "/v1/clients", 200, query={**PAGE, "client_type": "standard"}),
    Call("GET", CLIENTS, "/v1/clients", 200, query={**PAGE, "client_type": "admin"}),
    Call("GET", CLIENTS, "/v1/clients", 400),
    Call("GET", CLIENTS, "/v1/clients", 400, query={**PAGE, "page_size": "none"}),
    Call("GET", CLIENTS, "/v1/clients", 401, query=PAGE, is_signed_in=False),
    Call("GET", CLIENTS, "/v1/clients/{client_id}", 200),
    Call("GET", CLIENTS, "/v1/clients/{client_id}", 404, path_id="apiclient_other"),
    Call("GET", CLIENTS, "/v1/clients/{client_id}", 401, is_signed_in=False),
    Call("GET", CLIENTS, "/v1/ping", 200, is_signed_in=False),
    Call("POST", IAM, "/v1/accounts", 200, ({"friendly_name": "child", "description": "a"},)),
    Call("POST", IAM, "/v1/accounts", 400, ({"description": "a"},)),
    Call("POST", IAM, "/v1/accounts", 401, ({"friendly_name": "child"},), is_signed_in=False),
    Call("GET", IAM, "/v1/accounts", 200),
    Call("GET", IAM, "/v1/accounts", 404, query={"account_id": "acct_other"}),
    Call("GET", IAM, "/v1/accounts", 401, is_signed_in=False),
    Call("GET", IAM, "/v1/platform_account_mappings", 200),
    Call("GET", IAM, "/v1/platform_account_mappings", 404, query={"account_id": "acct_other"}),
    Call("GET", IAM, "/v1/platform_account_mappings", 401, is_signed_in=False),
]
UNDOCUMENTED: Final = {("DELETE", "/v1/secrets", 405)}
"""Answers that the files don't have."""


async def answer_to(kore: Kore, call: Call, *, host: str, prefix: str = "") -> Answer:
    path = call.path
    for name, made in kore.made.items():
        path = path.replace(f"{{{name}}}", call.path_id or made)
    credentials = (ACCOUNT_SID, AUTH_TOKEN) if call.is_signed_in else None
    query = f"?{urlencode(call.query)}" if call.query else ""
    return await kore.call(
        call.verb, host, f"{prefix}{path}{query}", *call.body, credentials=credentials
    )


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
async def test_each_call_gets_the_expected_answer(kore: Kore, call: Call) -> None:
    answer = await answer_to(kore, call, host=call.host)
    assert answer.status == call.status
    # The files name this header without a value; other origins' scripts must not create secrets.
    assert "access-control-allow-origin" not in answer.headers
    if answer.status >= 400:
        told = answer.json
        link = "more_info" if call.host == IAM else "info"
        assert told[link] == f"https://docs.korewireless.com/errors/{told['code']}"
        assert told["status"] == answer.status


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
async def test_by_a_prefix_the_answers_are_the_same(kore: Kore, call: Call) -> None:
    prefix = f"/{call.host.partition('.')[0]}"
    answer = await answer_to(kore, call, host="127.0.0.1:8080", prefix=prefix)
    assert answer.status == call.status


SECRETS: Final = {"secret", "client_secret", "access_token", "auth_token", "api_key_secret"}
"""The fields that would show a secret, in any answer."""


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
async def test_only_answers_with_a_secret_forbid_caching(kore: Kore, call: Call) -> None:
    answer = await answer_to(kore, call, host=call.host)
    is_shown = not SECRETS.isdisjoint(answer.json)
    assert is_shown == (call.verb == "POST" and answer.status == 201)
    assert answer.headers.get("cache-control") == ("no-store" if is_shown else None)
    assert answer.headers.get("pragma") == ("no-cache" if is_shown else None)


@needs_files
@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
async def test_each_answer_has_the_published_form(kore: Kore, call: Call) -> None:
    document = json.loads((FOLDER / FILES[call.host]).read_text("utf-8"))
    item = document["paths"][call.path]
    answer = await answer_to(kore, call, host=call.host)
    if (call.verb, call.path, call.status) in UNDOCUMENTED:
        assert call.verb.lower() not in item
        return
    published = item[call.verb.lower()]["responses"]
    schema = published[str(answer.status)]["content"]["application/json"]["schema"]
    check(document, answer.json, schema)


def check(document: dict[str, Any], value: object, schema: dict[str, Any]) -> None:
    whole = {**schema, "components": document["components"]}
    jsonschema_rs.validator_for(whole, validate_formats=True).validate(value)


@needs_files
def test_each_published_operation_parameter_and_property_is_called() -> None:
    called = {(call.host, call.verb.lower(), call.path) for call in CALLS}
    for host, name in FILES.items():
        document = json.loads((FOLDER / name).read_text("utf-8"))
        if name == TOKEN_FILE:
            continue  # its only exchange is a form, and has tests of its own
        for path, item in document["paths"].items():
            for verb in item.keys() & {"get", "post", "patch", "put", "delete"}:
                assert (host, verb, path) in called
                queries = {
                    one["name"] for one in item[verb].get("parameters", []) if one["in"] == "query"
                }
                calls = [one for one in CALLS if (one.host, one.path) == (host, path)]
                assert queries <= {query for one in calls for query in one.query}


# ---- the exchange of credentials for a token -----------------------------------------------------


async def test_a_client_gets_a_token_and_can_authenticate_with_it(kore: Kore) -> None:
    exchanged = await kore.token(
        grant_type="client_credentials",
        client_id=kore.made["client_id"],
        client_secret=kore.made["client_secret"],
    )
    told = exchanged.json
    assert exchanged.status == 200
    assert (told["expires_in"], told["token_type"]) == (3600, "Bearer")
    assert told["scope"] == "SuperSIM"
    assert exchanged.headers["cache-control"] == "no-store"
    bearer = {"authorization": f"Bearer {told['access_token']}"}
    hosts = {
        "supersim.api.korewireless.com": 200,
        "programmable-wireless.api.korewireless.com": 403,
    }
    for host, status in hosts.items():
        answer = await kore.call("GET", host, "/v1/Sims", credentials=None, **bearer)
        assert answer.status == status
    refused = await kore.call("GET", WEBHOOK, "/v1/secrets", credentials=None, **bearer)
    assert (refused.status, refused.json["code"]) == (403, 20006)


async def test_wrong_credentials_are_refused_in_the_form_of_oauth(kore: Kore) -> None:
    answer = await kore.token(
        grant_type="client_credentials", client_id=kore.made["client_id"], client_secret="wrong"
    )
    assert answer.status == 401
    assert answer.json == {
        "error": "unauthorized_client",
        "error_description": "Invalid client or Invalid client credentials",
    }


@pytest.mark.parametrize(
    "form", [{}, {"grant_type": "password"}, {"grant_type": "client_credentials"}]
)
async def test_an_invalid_exchange_is_refused(kore: Kore, form: dict[str, str]) -> None:
    answer = await kore.token(**form)
    assert answer.status == 400
    assert answer.json.keys() >= {"code", "message"}


async def test_after_too_many_wrong_secrets_a_client_has_to_wait(kore: Kore) -> None:
    form = {"grant_type": "client_credentials", "client_id": kore.made["client_id"]}
    for _ in range(20):
        assert (await kore.token(**form, client_secret="wrong")).status == 401
    limited = await kore.token(**form, client_secret=kore.made["client_secret"])
    assert (limited.status, limited.json["code"]) == (429, 20429)
    assert int(limited.headers["retry-after"]) > 0


@pytest.mark.parametrize("host", ["supersim.api.korewireless.com", WEBHOOK])
async def test_at_kore_an_invalid_token_is_forbidden(kore: Kore, host: str) -> None:
    target = "/v1/secrets" if host == WEBHOOK else "/v1/Sims"
    answer = await kore.call("GET", host, target, credentials=None, authorization="Bearer no")
    assert (answer.status, answer.json["error"]) == (403, "Invalid or expired token")


async def test_elsewhere_an_invalid_token_is_unauthorized(kore: Kore) -> None:
    answer = await kore.call(
        "GET", "127.0.0.1:8080", "/v1/Sims", credentials=None, authorization="Bearer no"
    )
    assert (answer.status, answer.json["code"]) == (401, 20003)


@needs_files
@pytest.mark.parametrize(
    ("changes", "status"),
    [({}, 200), ({"client_secret": "wrong"}, 401), ({"grant_type": "no"}, 400)],
)
async def test_each_exchange_is_answered_in_the_published_form(
    kore: Kore, changes: dict[str, str], status: int
) -> None:
    document = json.loads((FOLDER / TOKEN_FILE).read_text("utf-8"))
    right = {name: kore.made[name] for name in ("client_id", "client_secret")}
    answer = await kore.token(**{"grant_type": "client_credentials", **right, **changes})
    assert answer.status == status
    answers = document["paths"]["/v1/auth/token"]["post"]["responses"]
    schema = answers[str(status)]["content"]["application/json"]["schema"]
    check(document, answer.json, schema)
    documented = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    assert documented["properties"].keys() <= answer.json.keys()


# ---- rules ---------------------------------------------------------------------------------------


async def test_the_life_of_a_secret(kore: Kore) -> None:
    async def listed() -> dict[str, str]:
        found = (await kore.call("GET", WEBHOOK, "/v1/secrets")).json["data"]
        return {one["name"]: one["status"] for one in found}

    assert await listed() == {"mine": "active"}
    for name in ("second", "third"):
        made = await kore.call("POST", WEBHOOK, "/v1/secrets", {"Name": name})
        assert made.json["status"] == "pending"
    assert await listed() == {"mine": "active", "third": "pending"}
    path = f"/v1/secrets/{made.json['id']}"
    assert (await kore.call("PATCH", WEBHOOK, path, {"Status": "active"})).status == 200
    assert await listed() == {"third": "active"}
    gone = f"/v1/secrets/{kore.made['id']}"
    assert (await kore.call("PATCH", WEBHOOK, gone, {"Status": "active"})).status == 404


async def test_pages_link_to_their_neighbours(kore: Kore) -> None:
    for _ in range(2):
        await kore.call("POST", CLIENTS, "/v1/clients", CLIENT)
    target = "/v1/clients?page_size=1&page_number=2&client_type=standard"
    meta = (await kore.call("GET", CLIENTS, target)).json["meta"]
    page = f"http://{CLIENTS}/v1/clients?client_type=standard&page_size=1&page_number="
    assert (meta["previous_page_url"], meta["next_page_url"]) == (f"{page}1", f"{page}3")
    assert (meta["count"], meta["page_size"], meta["page_number"]) == (1, 1, 2)


async def test_a_subaccount_is_mapped_and_can_have_clients(kore: Kore) -> None:
    made = await kore.call("POST", IAM, "/v1/accounts", {"friendly_name": "child"})
    child = made.json["id"]
    assert made.json["parent_id"] == kore.made["account_id"]
    mappings = (await kore.call("GET", IAM, "/v1/platform_account_mappings")).json["platforms"]
    by_id = {one["id"]: one["legacy_account_id"] for one in mappings}
    assert by_id[kore.made["account_id"]] == ACCOUNT_SID
    assert by_id.keys() == {kore.made["account_id"], child}
    answer = await kore.call("POST", CLIENTS, "/v1/clients", {**CLIENT, "account_id": child})
    assert answer.json["account_id"] == child


async def test_an_unknown_property_causes_a_warning(kore: Kore) -> None:
    answer = await kore.call("POST", WEBHOOK, "/v1/secrets", {**NAMED, "Colour": "red"})
    assert answer.status == 201
    assert "'Colour'" in answer.headers["ringback-warning"]


async def test_a_document_that_is_too_deep_or_has_a_property_twice_is_refused(kore: Kore) -> None:
    caller = Caller(kore.app, credentials=(ACCOUNT_SID, AUTH_TOKEN), host=WEBHOOK)
    json_type = {"content-type": "application/json"}
    deep = [b'{"Name":' + b"[" * levels + b"]" * levels + b"}" for levels in (9, 99, 900, 9000)]
    for body in (*deep, b'{"Name":"a","Name":"b"}', b"{", b""):
        answer = await caller.call("POST", "/v1/secrets", body, headers=json_type)
        assert (answer.status, answer.json["code"]) == (400, 20001)
