"""Every error has the same form: code, message, more_info and status."""

import base64
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import pytest
from starlette.types import ASGIApp

from ringback.api.app import create_app
from ringback.core.errors import StoreUnavailable
from ringback.ports import Transaction
from tests.fakes import ACCOUNT_SID, AUTH_TOKEN, SIM_SID
from tests.unit.api.caller import Caller, basic
from tests.unit.api.world import KEY, KEY_SECRET, app_on, dependencies_on, error, refusal

T = TypeVar("T")

SIGN_IN = (
    "HTTP Basic with an Account SID and its Auth Token, or an API key SID (SK…) and its secret"
)


# ---- 401 -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target",
    [
        "/v1/Sims",
        f"/v1/Sims/{SIM_SID}",
        "/wireless/v1/Sims",
        "/wireless/v1/Sims/meter_1",
        "/portal/v1/callbacks",
        "/portal/v1/callbacks/CB1",
        "/portal/v1/callbacks/CB1/attempts",
    ],
)
async def test_without_credentials_nothing_is_shown(app: ASGIApp, target: str) -> None:
    answer = await Caller(app, credentials=None).get(target)
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == 'Basic realm="Ringback"'
    told = f"no credentials were given; use {SIGN_IN}; or a bearer token"
    assert answer.json == error(401, 20003, told)


@pytest.mark.parametrize("target", ["/v1/Sims", f"/v1/Sims/{SIM_SID}"])
async def test_without_credentials_nothing_is_changed(app: ASGIApp, target: str) -> None:
    answer = await Caller(app, credentials=None).post(target, {"Status": "inactive"})
    assert refusal(answer) == (401, 20003)


async def test_a_wrong_auth_token_is_refused(app: ASGIApp) -> None:
    answer = await Caller(app, credentials=(ACCOUNT_SID, "wrong")).get("/v1/Sims")
    assert answer.headers["www-authenticate"] == 'Basic realm="Ringback"'
    assert answer.json == error(
        401,
        20003,
        "wrong credentials: sign in with an Account SID and its Auth Token, or an API key SID"
        " (SK…) and its secret",
    )


async def test_an_api_key_is_accepted(app: ASGIApp) -> None:
    assert (await Caller(app, credentials=(KEY.sid, KEY_SECRET)).get("/v1/Sims")).status == 200


async def test_an_api_key_with_the_auth_token_gets_an_explanation(app: ASGIApp) -> None:
    answer = await Caller(app, credentials=(KEY.sid, AUTH_TOKEN)).get("/v1/Sims")
    assert answer.status == 401
    assert "to use the Auth Token, sign in with the Account SID" in answer.json["message"]


@pytest.mark.parametrize(
    "header",
    [
        pytest.param("Bearer abc", id="another scheme"),
        pytest.param("Basic", id="no credentials"),
        pytest.param("Basic !!!!", id="not base64"),
        pytest.param("Basic YWJj=", id="base64 cut off"),
        pytest.param("Basic " + base64.b64encode(b"\xff\xfe:x").decode(), id="not UTF-8"),
        pytest.param("Basic \xe9\xe9\xe9\xe9", id="not even ASCII"),
        pytest.param(basic(ACCOUNT_SID, AUTH_TOKEN)[:-2], id="without its padding"),
    ],
)
async def test_a_malformed_authorization_header_is_refused(caller: Caller, header: str) -> None:
    assert refusal(await caller.get("/v1/Sims", authorization=header)) == (401, 20003)


@pytest.mark.parametrize("scheme", ["basic", "BASIC"])
async def test_the_letter_case_of_the_scheme_is_free(caller: Caller, scheme: str) -> None:
    header = basic(ACCOUNT_SID, AUTH_TOKEN).replace("Basic", scheme)
    assert (await caller.get("/v1/Sims", authorization=header)).status == 200


async def test_a_nul_in_the_credentials_is_wrong(app: ASGIApp) -> None:
    answer = await Caller(app, credentials=(f"{ACCOUNT_SID}\0", AUTH_TOKEN)).get("/v1/Sims")
    assert refusal(answer) == (401, 20003)


# ---- 404 -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/v1",
        "/v1/",
        "/v2/Sims",
        "/v1/Sims/",
        "/v1/sims",
        "/v1/Commands",
        f"/v1/Sims/{SIM_SID}/",
        f"/v1/Sims/{SIM_SID}/UsageRecords",
        "//v1/Sims",
        "/v1/Sims.json",
        "/portal/v1/callbacks/",
        "/portal/callbacks",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_an_unknown_path_is_named(caller: Caller, method: str, target: str) -> None:
    answer = await caller.call(method, target)
    assert answer.json == error(404, 20404, f"{method} {target}: there is no such resource")


async def test_a_long_path_is_truncated(caller: Caller) -> None:
    answer = await caller.get("/nowhere/" + "a" * 10_000)
    assert refusal(answer) == (404, 20404)
    assert len(answer.json["message"]) < 300


@pytest.mark.parametrize("sid", ["HS" + "0" * 32, "HS" + "f" * 32, "nobody"])
async def test_a_sim_that_the_account_does_not_have_is_not_found(caller: Caller, sid: str) -> None:
    expected = error(404, 20404, f"there is no SIM with the SID or unique name {sid!r}")
    assert (await caller.get(f"/v1/Sims/{sid}")).json == expected
    assert (await caller.post(f"/v1/Sims/{sid}", {"Status": "inactive"})).json == expected


# ---- 405 -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("target", ["/v1/Sims", f"/v1/Sims/{SIM_SID}", "/supersim/v1/Sims"])
async def test_a_wrong_method_gets_the_list_of_right_ones(
    caller: Caller, method: str, target: str
) -> None:
    answer = await caller.call(method, target)
    assert refusal(answer) == (405, 20004)
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD", "POST"}
    assert answer.json["message"].startswith(f"{method} {target}: this resource accepts only ")


async def test_a_read_only_path_says_so(caller: Caller) -> None:
    answer = await caller.post("/portal/v1/undelivered", {})
    assert refusal(answer) == (405, 20004)
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD"}


@pytest.mark.parametrize("target", ["replays", "callbacks/CB1/replay", "callbacks/CB1/discard"])
async def test_a_post_only_path_says_so(caller: Caller, target: str) -> None:
    answer = await caller.get(f"/portal/v1/{target}")
    assert answer.json == error(
        405, 20004, f"GET /portal/v1/{target}: this resource accepts only POST"
    )


# ---- 400 and 409: each with its code -------------------------------------------------------------

UPDATE = f"/v1/Sims/{SIM_SID}"
THREE = "must be one of ready, active, inactive"


@pytest.mark.parametrize(
    ("target", "form", "code", "message"),
    [
        ("/v1/Sims", {"RegistrationCode": "H3LL0W0RLD"}, 83001, "Iccid is required"),
        ("/v1/Sims", {"Iccid": "89883070000123456789"}, 83001, "RegistrationCode is required"),
        ("/v1/Sims", {"Iccid": "", "RegistrationCode": ""}, 83001, "Iccid is required"),
        ("/v1/Sims", {"Iccid": "12", "RegistrationCode": "H3LL0W0RLD"}, 83002, "Iccid '12'"),
        (
            "/v1/Sims",
            {"Iccid": "8988307000000000001", "RegistrationCode": "H3LL0W0RLD"},
            83003,
            "Iccid 8988307000000000001 is already registered",
        ),
        (UPDATE, {"Fleet": "nobody's"}, 83006, 'Fleet="nobody\'s": there is no Fleet'),
        (UPDATE, {"Fleet": ""}, 83008, "Fleet is empty"),
        (UPDATE, {"Status": "ready"}, 83010, f"SIM {SIM_SID} is active and can't become ready"),
        (UPDATE, {"Status": "new"}, 83600, f"Status='new': Status {THREE}"),
        (UPDATE, {"Status": "scheduled"}, 83600, f"Status='scheduled': Status {THREE}"),
        (UPDATE, {"Status": ""}, 83600, f"Status='': Status {THREE}"),
        (UPDATE, {"Status": "Active"}, 83600, f"Status='Active': Status {THREE}"),
        (UPDATE, {"CallbackMethod": "get"}, 83600, "CallbackMethod='get'"),
        (UPDATE, {"CallbackMethod": "PUT"}, 83600, "CallbackMethod='PUT'"),
        (UPDATE, {"UniqueName": "a\nb"}, 83600, "UniqueName must be at most 64 printable"),
        (UPDATE, {"UniqueName": "a" * 65}, 83600, "UniqueName must be at most 64 printable"),
        (UPDATE, {"AccountSid": "AC" + "0" * 32}, 20409, "AccountSid='AC"),
        (UPDATE, {"CallbackUrl": "nowhere"}, 11100, "'nowhere' is not a valid URL"),
        (UPDATE, {"CallbackUrl": "ftp://a.example"}, 11100, "'ftp://a.example': callbacks go to"),
        (UPDATE, {"CallbackUrl": "http://a.example#cbs=foo"}, 11100, "#cbs=foo: cbs must be"),
        (UPDATE, {"CallbackUrl": "http://a.example#rc=99"}, 11100, "#rc=99: rc must be a whole"),
    ],
)
async def test_each_error_in_a_request_has_its_code(
    caller: Caller, target: str, form: dict[str, str], code: int, message: str
) -> None:
    answer = await caller.post(target, form)
    assert refusal(answer) == (400, code)
    assert answer.json["message"].startswith(message)


async def test_a_taken_name_has_its_code(caller: Caller) -> None:
    await caller.post("/v1/Sims", {"Iccid": "8988307000000000003", "RegistrationCode": "A" * 10})
    (newest, *_) = (await caller.get("/v1/Sims")).json["sims"]
    answer = await caller.post(f"/v1/Sims/{newest['sid']}", {"UniqueName": "my_super_sim"})
    assert refusal(answer) == (400, 83011)


async def test_a_sim_without_a_fleet_cannot_be_activated(caller: Caller) -> None:
    form = {"Iccid": "8988307000000000003", "RegistrationCode": "A" * 10}
    sid = (await caller.post("/v1/Sims", form)).json["sid"]
    assert refusal(await caller.post(f"/v1/Sims/{sid}", {"Status": "active"})) == (400, 83007)


@pytest.mark.parametrize(
    ("form", "code"), [({"Status": "active"}, 83010), ({"Fleet": "my_fleet"}, 83009)]
)
async def test_a_change_while_another_is_running_is_a_conflict(
    caller: Caller, form: dict[str, str], code: int
) -> None:
    await caller.post(UPDATE, {"Status": "inactive"})
    assert refusal(await caller.post(UPDATE, form)) == (409, code)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("Status=nonsense", "Status='nonsense'"),
        ("PageSize=0", "PageSize='0': PageSize must be a whole number from 1 to 1000"),
        ("PageSize=1001", "PageSize='1001'"),
        ("PageSize=-1", "PageSize='-1'"),
        ("PageSize=ten", "PageSize='ten'"),
        ("PageSize=%C2%B2", "PageSize='²'"),
        ("PageSize=", "PageSize=''"),
        ("Page=-1", "Page='-1'"),
        ("PageToken=nonsense", "PageToken='nonsense' is not a page token"),
        ("PageToken=PAHS" + "0" * 32, "PageToken: there is no record HS0"),
        ("PageToken=PBHS" + "f" * 32, "PageToken: there is no record HSf"),
    ],
)
async def test_an_invalid_list_request_says_why(caller: Caller, query: str, message: str) -> None:
    answer = await caller.get(f"/v1/Sims?{query}")
    assert refusal(answer) == (400, 83600)
    assert answer.json["message"].startswith(message)


@pytest.mark.parametrize("token", ["PA", "PB"])
async def test_a_page_token_without_a_record_is_refused(caller: Caller, token: str) -> None:
    assert refusal(await caller.get(f"/v1/Sims?PageToken={token}")) == (400, 83600)


@pytest.mark.parametrize(
    ("query", "name"), [("Status=x", "Status"), ("Source=x", "Source"), ("PageSize=x", "PageSize")]
)
async def test_an_invalid_request_for_callbacks_says_why(
    caller: Caller, query: str, name: str
) -> None:
    answer = await caller.get(f"/portal/v1/callbacks?{query}")
    assert refusal(answer) == (400, 83600)
    assert answer.json["message"].startswith(f"{name}='x'")


# ---- 5xx -----------------------------------------------------------------------------------------


@dataclass
class BrokenStore:
    """A store that raises this error."""

    failure: Exception

    async def transact(self, work: Callable[[Transaction], T], **how: bool) -> T:
        raise self.failure

    async def read(self, work: Callable[[Transaction], T], *, asked_by: str = "") -> T:
        return await self.transact(work)


def on_a_store_with(failure: Exception) -> Caller:
    return Caller(app_on(BrokenStore(failure)), credentials=(ACCOUNT_SID, AUTH_TOKEN))


async def test_an_unavailable_store_is_answered_with_503() -> None:
    caller = on_a_store_with(StoreUnavailable("the database can't be used just now: disk full"))
    assert (await caller.get("/v1/Sims")).json == error(
        503,
        20503,
        "the database can't be used just now: disk full; nothing was changed, try again later",
    )


async def test_requests_refused_in_an_outage_are_counted_and_not_logged_one_by_one(
    caplog: pytest.LogCaptureFixture,
) -> None:
    refused = list[None]()
    store = BrokenStore(StoreUnavailable("the database can't be used just now: disk full"))
    dependencies = replace(dependencies_on(store), refused=lambda: refused.append(None))
    caller = Caller(create_app(dependencies), credentials=(ACCOUNT_SID, AUTH_TOKEN))
    for _ in range(3):
        assert (await caller.get("/v1/Sims")).status == 503
    assert len(refused) == 3
    assert caplog.messages == []


async def test_an_error_of_ringback_has_the_same_form_and_is_logged() -> None:
    failure = RuntimeError("a message with a secret in it")
    answer = await on_a_store_with(failure).get("/v1/Sims")
    assert answer.json == error(
        500, 20500, "Ringback failed while it handled this request; its log has the details"
    )
    assert answer.raised is failure
