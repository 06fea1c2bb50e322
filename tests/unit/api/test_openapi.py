"""The document describes every route, and nothing else; it is right by OpenAPI's own schema."""

import re
from collections.abc import Callable
from typing import Any, cast

import pytest
import schemathesis
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import ASGIApp

from ringback.api.openapi.callbacks import CALLBACKS, all_callbacks
from ringback.api.openapi.document import document_of
from ringback.api.operation import Operation
from ringback.api.paging import PAGING
from ringback.api.portal.clock import clock_routes
from ringback.api.portal.filters import FILTERS
from ringback.api.portal.replay_forms import PARAMETERS as REPLAYS
from ringback.api.services import Services
from ringback.api.sign_in import SignIns
from ringback.api.supersim.routes import supersim_operations
from ringback.core.payload import PARAMETERS
from ringback.engine.timelapse import Timelapse
from ringback.stores.memory import MemoryStore
from tests.unit.api.caller import Caller
from tests.unit.api.world import app_on

Document = dict[str, Any]


@pytest.fixture
async def document(caller: Caller) -> Document:
    return (await caller.get("/openapi.json")).json


def operations_in(document: Document, prefix: str) -> set[tuple[str, str]]:
    return {
        (verb.upper(), path)
        for path, item in document["paths"].items()
        for verb in item
        if path.startswith(prefix) and verb not in ("parameters", "servers")
    }


def routes_in(app: ASGIApp, prefix: str) -> set[tuple[str, str]]:
    """The verbs and paths that the application itself knows under a prefix."""
    while not isinstance(app, Starlette):
        app = vars(app)["_app"]
    return {
        (verb, route.path.removeprefix(prefix))
        for route in app.routes
        if isinstance(route, Route) and route.path.startswith(f"{prefix}/")
        for verb in (route.methods or set[str]()) - {"HEAD"}
    }


def form_of(document: Document, verb: str, path: str) -> Document:
    body = document["paths"][path][verb]["requestBody"]
    return body["content"]["application/x-www-form-urlencoded"]["schema"]


class NoServices:
    """What operations are made of where nobody calls them."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_, **__: None


@pytest.fixture
def operations() -> list[Operation]:
    return supersim_operations(cast("Services", NoServices()))


async def test_it_is_valid_openapi(document: Document) -> None:
    assert document["openapi"] == "3.1.0"
    schemathesis.openapi.from_dict(document).validate()


async def test_it_wants_no_credentials(app: ASGIApp) -> None:
    answer = await Caller(app, credentials=None).get("/openapi.json")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")


async def test_it_has_each_route_and_no_other(document: Document, app: ASGIApp) -> None:
    assert operations_in(document, "/v1/") == routes_in(app, "/supersim")
    assert len(operations_in(document, "/v1/")) == 31


async def test_it_has_each_route_of_the_portal_that_is_served(document: Document) -> None:
    clock = clock_routes(cast("SignIns", None), cast("Timelapse", None))
    app = app_on(MemoryStore(), beside=clock)
    with_clock = (await Caller(app, credentials=None).get("/openapi.json")).json
    portal = operations_in(with_clock, "/portal/")
    assert portal == {(verb, f"/portal{path}") for verb, path in routes_in(app, "/portal")}
    of_the_clock = {("GET", "/portal/v1/clock"), ("POST", "/portal/v1/clock")}
    assert portal - operations_in(document, "/portal/") == of_the_clock


async def test_the_portal_hangs_at_the_server_itself(document: Document) -> None:
    for path, item in document["paths"].items():
        assert item.get("servers") == ([{"url": "/"}] if path.startswith("/portal/") else None)


async def test_the_portal_has_the_parameters_that_it_reads(document: Document) -> None:
    paths = document["paths"]
    listed = {each["name"] for each in paths["/portal/v1/callbacks"]["get"]["parameters"]}
    assert listed == {"Status", *FILTERS, *PAGING}
    undelivered = {each["name"] for each in paths["/portal/v1/undelivered"]["get"]["parameters"]}
    assert undelivered == {*FILTERS, *PAGING}
    replays = form_of(document, "post", "/portal/v1/replays")["properties"]
    assert set(replays) == set(REPLAYS)


async def test_each_reference_leads_somewhere(document: Document) -> None:
    references = re.findall(r"'\$ref': '#/([^']+)'", str(document))
    assert len(references) > 100
    for reference in references:
        place = document
        for name in reference.split("/"):
            place = place[name]


async def test_its_servers_are_those_that_the_client_reaches(
    at_host: Callable[[str], Caller],
) -> None:
    document = (await at_host("sims.example:81").get("/openapi.json")).json
    urls = [server["url"] for server in document["servers"]]
    assert urls == ["http://sims.example:81", "http://sims.example:81/supersim"]


async def test_at_a_host_of_another_api_only_the_prefix_leads_to_super_sim(
    at_host: Callable[[str], Caller],
) -> None:
    document = (await at_host("wireless.example").get("/openapi.json")).json
    urls = [server["url"] for server in document["servers"]]
    assert urls == ["http://wireless.example/supersim"]


async def test_a_form_has_its_parameters_and_which_are_required(document: Document) -> None:
    form = form_of(document, "post", "/v1/SmsCommands")
    assert list(form["properties"]) == ["Sim", "Payload", "CallbackUrl", "CallbackMethod"]
    assert form["required"] == ["Sim", "Payload"]


async def test_what_a_path_names_can_be_missing(document: Document) -> None:
    assert "404" in document["paths"]["/v1/Sims/{sid}"]["get"]["responses"]
    assert "404" not in document["paths"]["/v1/Sims"]["get"]["responses"]


async def test_what_calls_back_can_be_too_much(document: Document) -> None:
    posts = {path: item["post"] for path, item in document["paths"].items() if "post" in item}
    can_be = {path for path, post in posts.items() if "429" in post["responses"]}
    assert {path for path in can_be if path.startswith("/v1/")} == {
        "/v1/Sims/{sid}",
        "/v1/SmsCommands",
        "/v1/IpCommands",
        "/v1/ESimProfiles",
    }


async def test_the_super_sim_api_alone_says_that_any_origin_may_read_it(
    document: Document,
) -> None:
    open_to_all = document["paths"]["/v1/Sims"]["get"]["responses"]["200"]
    assert "Access-Control-Allow-Origin" in open_to_all["headers"]
    for answer in document["paths"]["/portal/v1/callbacks"]["get"]["responses"].values():
        assert "Access-Control-Allow-Origin" not in answer["headers"]


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/v1/Sims/{sid}", {"simUpdated"}),
        ("/v1/SmsCommands", {"smsCommandToSim"}),
        ("/v1/IpCommands", {"ipCommandToSim"}),
        ("/v1/ESimProfiles", {"esimProfileChanged"}),
        ("/v1/Fleets", {"smsCommandFromSim", "ipCommandFromSim"}),
        ("/v1/Fleets/{sid}", {"smsCommandFromSim", "ipCommandFromSim"}),
    ],
)
async def test_an_operation_says_which_callbacks_it_leads_to(
    document: Document, path: str, names: set[str]
) -> None:
    assert set(document["paths"][path]["post"]["callbacks"]) == names


def test_the_parameter_with_the_url_is_one_of_the_operation(operations: list[Operation]) -> None:
    calling = [operation for operation in operations if operation.calls_back is not None]
    assert {operation.calls_back for operation in calling} == set(CALLBACKS)
    for operation in calling:
        given = {parameter.name for parameter in operation.parameters}
        assert {each.url_parameter for each in CALLBACKS[operation.calls_back or ""]} <= given


@pytest.mark.parametrize("described", all_callbacks(), ids=lambda described: described.name)
def test_a_callback_has_the_parameters_of_its_event_in_their_order(
    operations: list[Operation], described: Any
) -> None:
    document = document_of(operations)
    (item,) = document["components"]["callbacks"][described.name].values()
    names = [name for name, _ in PARAMETERS[described.event]]
    assert list(document["components"]["schemas"][described.name]["properties"]) == names
    in_query = [each["name"] for each in item["get"]["parameters"] if "name" in each]
    assert in_query == names


def test_a_callback_goes_where_the_request_said(operations: list[Operation]) -> None:
    callbacks = document_of(operations)["components"]["callbacks"]
    assert set(callbacks["simUpdated"]) == {"{$request.body#/CallbackUrl}"}
    assert set(callbacks["smsCommandFromSim"]) == {"{$request.body#/SmsCommandsUrl}"}
    assert set(callbacks["ipCommandFromSim"]) == {"{$request.body#/IpCommandsUrl}"}
