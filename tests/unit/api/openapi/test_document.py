"""The documents describe all routes and no others, and are valid by OpenAPI's own schema."""

import re
from collections.abc import Callable
from typing import cast

import pytest
import schemathesis
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import ASGIApp

from ringback.api.openapi.document import document_of
from ringback.api.operation_definition import ApiOperation
from ringback.api.portal.clock import ClockEndpoints
from ringback.core.events.payload import PARAMETERS
from ringback.engine.clock_advancer import ClockAdvancer
from tests.memory_store import MemoryStore
from tests.unit.api.caller import Caller
from tests.unit.api.described import (
    EVENT_STREAMS,
    SUPER_SIM,
    WIRELESS,
    Api,
    Document,
    operations_in,
)
from tests.unit.api.world import app_on, dependencies_on


@pytest.fixture
async def document(caller: Caller, api: Api) -> Document:
    """The document of each product, one after the other."""
    return (await caller.get(api.document)).json


@pytest.fixture
async def of_supersim(caller: Caller) -> Document:
    """The document of Super SIM, which also describes the portal."""
    return (await caller.get(SUPER_SIM.document)).json


@pytest.fixture
async def of_wireless(caller: Caller) -> Document:
    return (await caller.get(WIRELESS.document)).json


def routes_in(app: ASGIApp, prefix: str) -> set[tuple[str, str]]:
    """The verbs and paths that the application itself has below a prefix."""
    while not isinstance(app, Starlette):
        app = vars(app)["_app"]
    on_demand = vars(app.router.default)["_make"]()
    return {
        (verb, route.path.removeprefix(prefix))
        for route in on_demand
        if isinstance(route, Route) and route.path.startswith(f"{prefix}/v1/")
        for verb in (route.methods or set[str]()) - {"HEAD"}
    }


def form_of(document: Document, verb: str, path: str) -> Document:
    body = document["paths"][path][verb]["requestBody"]
    return body["content"]["application/x-www-form-urlencoded"]["schema"]


@pytest.fixture
def operations(api: Api) -> list[ApiOperation]:
    return api.operations(dependencies_on(MemoryStore()))


async def test_it_is_valid_openapi(document: Document) -> None:
    assert document["openapi"] == "3.1.0"
    schemathesis.openapi.from_dict(document).validate()


async def test_it_needs_no_credentials(app: ASGIApp, api: Api) -> None:
    answer = await Caller(app, credentials=None).get(api.document)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")


async def test_it_has_its_apis_title(document: Document, api: Api) -> None:
    assert document["info"]["title"] == f"Ringback: {api.product.name}"
    assert f"The {api.product.name} API" in document["info"]["description"]


async def test_it_has_each_route_and_no_other(document: Document, app: ASGIApp, api: Api) -> None:
    assert operations_in(document, "/v1/") == routes_in(app, api.prefix)


@pytest.fixture
async def of_events(caller: Caller) -> Document:
    return (await caller.get(EVENT_STREAMS.document)).json


def test_they_have_as_many_operations_as_are_published(
    of_supersim: Document, of_wireless: Document, of_events: Document
) -> None:
    all_three = (of_supersim, of_wireless, of_events)
    assert [len(operations_in(document, "/v1/")) for document in all_three] == [31, 16, 22]


def test_operations_of_one_product_are_only_in_its_document(
    of_supersim: Document, of_wireless: Document
) -> None:
    both = set(of_supersim["paths"]) & set(of_wireless["paths"])
    assert both == {"/v1/Sims", "/v1/Sims/{sid}", "/v1/UsageRecords"}


def test_the_portal_is_only_in_the_document_of_super_sim(
    of_supersim: Document, of_wireless: Document
) -> None:
    assert operations_in(of_supersim, "/portal/") != set()
    assert operations_in(of_wireless, "/portal/") == set()


async def test_it_has_each_served_route_of_the_portal(of_supersim: Document) -> None:
    clock_advancer = cast("ClockAdvancer", None)
    app = app_on(MemoryStore(), portal=lambda on: ClockEndpoints(on, clock_advancer).operations())
    with_clock = (await Caller(app, credentials=None).get("/openapi.json")).json
    portal = operations_in(with_clock, "/portal/")
    assert portal == {(verb, f"/portal{path}") for verb, path in routes_in(app, "/portal")}
    of_the_clock = {("GET", "/portal/v1/clock"), ("POST", "/portal/v1/clock")}
    assert portal - operations_in(of_supersim, "/portal/") == of_the_clock


async def test_the_portal_is_at_the_root_of_the_server(of_supersim: Document) -> None:
    for path, item in of_supersim["paths"].items():
        assert item.get("servers") == ([{"url": "/"}] if path.startswith("/portal/") else None)


async def test_each_reference_can_be_resolved(document: Document) -> None:
    references = re.findall(r"'\$ref': '#/([^']+)'", str(document))
    assert len(references) > 100
    for reference in references:
        place = document
        for name in reference.split("/"):
            place = place[name]


async def test_the_servers_of_super_sim_are_those_that_the_client_reaches(
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


@pytest.mark.parametrize("host", ["sims.example:81", "wireless.example", "supersim.example"])
@pytest.mark.parametrize("prefix", ["/wireless", "/events"])
async def test_the_server_of_the_other_apis_is_their_prefix_at_any_host(
    at_host: Callable[[str], Caller], host: str, prefix: str
) -> None:
    document = (await at_host(host).get(f"{prefix}/openapi.json")).json
    assert [server["url"] for server in document["servers"]] == [f"http://{host}{prefix}"]


async def test_a_path_leads_to_the_same_operation_from_each_server(
    caller: Caller, document: Document, api: Api
) -> None:
    for server in document["servers"]:
        base = server["url"].removeprefix("http://127.0.0.1:8080")
        for path in document["paths"]:
            if path.startswith("/v1/") and "{" not in path:
                answer = await caller.get(f"{base}{path}")
                same = await caller.get(f"{api.prefix}{path}")
                assert (answer.status, answer.json.keys()) == (200, same.json.keys())


@pytest.mark.parametrize(
    ("document_at", "path", "names", "needed"),
    [
        (
            SUPER_SIM.document,
            "/v1/SmsCommands",
            ["Sim", "Payload", "CallbackUrl", "CallbackMethod"],
            ["Sim", "Payload"],
        ),
        (
            WIRELESS.document,
            "/v1/Commands",
            [
                *("Command", "Sim", "CallbackUrl", "CallbackMethod"),
                *("CommandMode", "IncludeSid", "DeliveryReceiptRequested"),
            ],
            ["Command", "Sim"],
        ),
    ],
)
async def test_a_form_has_its_parameters_and_which_are_required(
    caller: Caller, document_at: str, path: str, names: list[str], needed: list[str]
) -> None:
    form = form_of((await caller.get(document_at)).json, "post", path)
    assert (list(form["properties"]), form["required"]) == (names, needed)


async def test_an_operation_on_a_named_record_can_answer_404(document: Document, api: Api) -> None:
    assert "404" in document["paths"][f"{api.list_path}/{{sid}}"]["get"]["responses"]
    assert "404" not in document["paths"][api.list_path]["get"]["responses"]


async def test_authenticated_operations_can_answer_401_and_429(document: Document) -> None:
    for path, item in document["paths"].items():
        for verb in item.keys() & {"get", "post", "delete"}:
            assert {"401", "403", "429"} <= item[verb]["responses"].keys(), f"{verb} {path}"


async def test_only_the_vendors_apis_allow_any_origin_to_read_them(
    document: Document, of_supersim: Document, api: Api
) -> None:
    open_to_all = document["paths"][api.list_path]["get"]["responses"]["200"]
    assert "Access-Control-Allow-Origin" in open_to_all["headers"]
    for answer in of_supersim["paths"]["/portal/v1/callbacks"]["get"]["responses"].values():
        assert "Access-Control-Allow-Origin" not in answer["headers"]


CALLBACKS = {
    SUPER_SIM.document: {
        "/v1/Sims/{sid}": {"simUpdated"},
        "/v1/SmsCommands": {"smsCommandToSim"},
        "/v1/IpCommands": {"ipCommandToSim"},
        "/v1/ESimProfiles": {"esimProfileChanged"},
        "/v1/Fleets": {"smsCommandFromSim", "ipCommandFromSim"},
        "/v1/Fleets/{sid}": {"smsCommandFromSim", "ipCommandFromSim"},
    },
    WIRELESS.document: {
        "/v1/Sims/{sid}": {"simUpdated", "commandFromSim"},
        "/v1/Commands": {"commandToSim"},
    },
    EVENT_STREAMS.document: {},
}


async def test_an_operation_has_its_callbacks(document: Document, api: Api) -> None:
    posts = {path: item["post"] for path, item in document["paths"].items() if "post" in item}
    found = {path: set(post["callbacks"]) for path, post in posts.items() if "callbacks" in post}
    assert found == CALLBACKS[api.document]


def test_the_parameter_with_the_url_belongs_to_the_operation(
    operations: list[ApiOperation], api: Api
) -> None:
    callbacks = api.product.callbacks
    calling = [operation for operation in operations if operation.calls_back is not None]
    assert {operation.calls_back for operation in calling} == set(callbacks)
    for operation in calling:
        given = {parameter.name for parameter in operation.parameters}
        assert {each.url_parameter for each in callbacks[operation.calls_back or ""]} <= given


def test_a_callback_has_the_parameters_of_its_event_in_their_order(
    operations: list[ApiOperation], api: Api
) -> None:
    components = document_of(api.product, operations)["components"]
    for described in api.product.described:
        (item,) = components["callbacks"][described.name].values()
        names = [name for name, _ in PARAMETERS[described.event]]
        assert list(components["schemas"][described.name]["properties"]) == names
        in_query = [each["name"] for each in item["get"]["parameters"] if "name" in each]
        assert in_query == names


WHERE = {
    SUPER_SIM.document: {
        "simUpdated": "CallbackUrl",
        "smsCommandToSim": "CallbackUrl",
        "ipCommandToSim": "CallbackUrl",
        "esimProfileChanged": "CallbackUrl",
        "smsCommandFromSim": "SmsCommandsUrl",
        "ipCommandFromSim": "IpCommandsUrl",
    },
    WIRELESS.document: {
        "simUpdated": "CallbackUrl",
        "commandToSim": "CallbackUrl",
        "commandFromSim": "CommandsCallbackUrl",
    },
    EVENT_STREAMS.document: {},
}


def test_a_callback_goes_to_the_url_in_the_request(document: Document, api: Api) -> None:
    callbacks = document["components"]["callbacks"]
    assert {name: list(item) for name, item in callbacks.items()} == {
        name: [f"{{$request.body#/{parameter}}}"] for name, parameter in WHERE[api.document].items()
    }
