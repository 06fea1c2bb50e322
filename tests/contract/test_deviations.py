"""The table of deviations from the vendors' documents: each row is true, and none is missing."""

import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import pytest

from tests.contract.contracts import CONTRACTS, Contract
from tests.contract.test_openapi_shapes import NOT_AS_PUBLISHED
from tests.contract.test_tables import CORRECTIONS, NEVER, OTHER_SUCCESSES
from tests.contract.worlds import sample
from tests.unit.api.caller import Answer

PAGE: Final = (Path(__file__).parents[2] / "docs/reference/differences.md").read_text("utf-8")


class Deviation(NamedTuple):
    """A row of the table."""

    document: str
    of: str
    says: str
    here: str
    because: str


def rows() -> list[Deviation]:
    lines = re.findall(r"^\| (.*) \|$", PAGE, re.MULTILINE)[2:]
    return [Deviation(*line.split(" | ")) for line in lines]


ROWS: Final = rows()
SUPER_SIM = [one for one in CONTRACTS if one.name.startswith("Super SIM")]
WIRELESS = [one for one in CONTRACTS if one.name.startswith("Programmable Wireless")]
TWILIOS, KORES = WIRELESS
EVENT_STREAMS = [one for one in CONTRACTS if one.name.startswith("Event Streams")]
Check = Callable[[Contract], Awaitable[object]]


async def get(contract: Contract, path: str, query: str = "") -> Answer:
    caller = await contract.caller_for(f"GET {path}")
    return await caller.get(f"{contract.world.target_of(path)}{query}")


async def post(contract: Contract, path: str, **changed: str | None) -> Answer:
    """Send the form that creates a record, with some of its fields changed or left out."""
    caller = await contract.caller_for(f"POST {path}")
    of = {row.path: row.statuses[0] for row in contract.table if row.verb == "POST"}
    form = {**contract.world.forms[path, of[path]], **changed}
    given = {name: value for name, value in form.items() if value is not None}
    return await caller.post(contract.world.target_of(path), given)


async def first(contract: Contract, path: str) -> dict[str, Any]:
    page = (await get(contract, path)).json
    return page[page["meta"]["key"]][0]


async def billed_is_text(contract: Contract) -> None:
    assert isinstance((await first(contract, "/v1/UsageRecords"))["data_total_billed"], str)


async def address_is_a_host_name(contract: Contract) -> None:
    address = (await first(contract, "/v1/ESimProfiles"))["smdp_plus_address"]
    assert address is None or re.fullmatch(r"[a-z.-]+", address)


async def reset_is_null(contract: Contract) -> None:
    caller = await contract.caller_for("POST /v1/Commands")
    sims = (await caller.get("/v1/Sims")).json["sims"]
    assert None in [sim["reset_status"] for sim in sims]


async def notification_is_taken(contract: Contract) -> None:
    asked = {"UsageNotificationUrl": "http://a.example/", "UsageNotificationMethod": "GET"}
    made = await post(contract, "/v1/RatePlans", **asked)
    assert made.status in (200, 201)
    assert "ringback-warning" not in made.headers


async def command_needs_a_sim(contract: Contract) -> None:
    refused = await post(contract, "/v1/Commands", Sim=None)
    assert (refused.status, refused.json["code"]) == (400, 33102)


async def strategy_is_taken(contract: Contract) -> None:
    made = await post(contract, "/v1/RatePlans", DataLimitStrategy="throttle")
    assert made.json["data_limit_strategy"] == "throttle"


async def meta_of_usage_has_both(contract: Contract) -> None:
    for path in ("/v1/UsageRecords", "/v1/Sims/{Sid}/UsageRecords"):
        meta = (await get(contract, path)).json["meta"]
        assert (meta["list_key"], meta["direct_token"]) == (meta["key"], False)


async def plan_is_made_at_once(contract: Contract) -> None:
    assert (await post(contract, "/v1/RatePlans")).status == 200


async def command_is_made_at_once(contract: Contract) -> None:
    assert (await post(contract, "/v1/Commands")).status == 201


async def command_is_deleted_at_once(contract: Contract) -> None:
    path = "/v1/Commands/{Sid}"
    caller = await contract.caller_for(f"DELETE {path}")
    answer = await caller.call("DELETE", contract.world.target_of(path))
    assert (answer.status, answer.body) == (204, b"")


async def deleted_is_gone(contract: Contract) -> None:
    path = "/v1/Sims/{Sid}"
    caller, target = await contract.caller_for(f"DELETE {path}"), contract.world.target_of(path)
    assert (await caller.call("DELETE", target)).status == 204
    assert (await caller.get(target)).status == 404
    refused = await caller.get("/v1/Sims?Status=deleted")
    assert (refused.status, refused.json["code"]) == (400, 33101)


async def time_without_a_zone_is_utc(contract: Contract) -> None:
    names = ("Start", "End") if contract in WIRELESS else ("StartTime", "EndTime")
    query = "&".join(
        f"{name}={day}"
        for name, day in zip(names, ("2024-07-01T00:00:00", "2024-07-02"), strict=True)
    )
    url = (await get(contract, "/v1/UsageRecords", f"?{query}")).json["meta"]["url"]
    assert f"{names[0]}=2024-07-01T00%3A00%3A00Z&{names[1]}=2024-07-02T00%3A00%3A00Z" in url


async def page_needs_its_token(contract: Contract) -> None:
    path = next(row.path for row in contract.table if row.key and "{" not in row.path)
    assert (await get(contract, path, "?Page=400")).status == 400


async def kores_own_are_closed(contract: Contract) -> None:
    caller = await contract.caller_for()
    for path in ("/webhook/v1/secrets", "/client/v1/ping", "/iam/v1/accounts"):
        answer = await caller.get(path)
        assert answer.status == 200
        assert "access-control-allow-origin" not in answer.headers


async def other_sinks_are_refused(contract: Contract) -> None:
    for name in ("segment", "email"):
        refused = await post(contract, "/v1/Sinks", SinkType=name)
        assert (refused.status, refused.json["code"]) == (400, 91000)


async def sink_test_is_made(contract: Contract) -> None:
    path = "/v1/Sinks/{Sid}/Test"
    caller = await contract.caller_for(f"POST {path}")
    assert (await caller.post(contract.world.target_of(path), {})).status == 201


async def sink_is_changed(contract: Contract) -> None:
    path = "/v1/Subscriptions/{Sid}"
    caller = await contract.caller_for(f"POST {path}")
    other = sample("DG", "b")
    changed = await caller.post(contract.world.target_of(path), {"SinkSid": other})
    assert (changed.status, changed.json["sink_sid"]) == (200, other)


async def old_parameters_are_taken(contract: Contract) -> None:
    old = {"ReceiveEventsFromSubaccounts": "true", "Filter": "errorCode == 30004"}
    made = await post(contract, "/v1/Subscriptions", **old)
    assert made.status == 201
    assert "ringback-warning" not in made.headers


async def raw_is_served_here(contract: Contract) -> None:
    caller = await contract.caller_for()
    path = contract.world.target_of("/v1/Schemas/{Id}/Versions/{SchemaVersion}")
    raw = urlsplit((await caller.get(path)).json["raw"])
    assert raw.netloc == contract.host
    assert (await caller.get(raw.path)).json["type"] == "object"


CHECKS: Final[dict[tuple[str, str], tuple[Check, list[Contract]]]] = {
    ("Super SIM of both vendors", "`data_total_billed`"): (billed_is_text, SUPER_SIM),
    ("Super SIM of both vendors", "`smdp_plus_address`"): (address_is_a_host_name, SUPER_SIM),
    ("Programmable Wireless of Twilio", "`reset_status`"): (reset_is_null, [TWILIOS]),
    (
        "Programmable Wireless of both vendors",
        "`UsageNotificationUrl`, `UsageNotificationMethod`",
    ): (notification_is_taken, WIRELESS),
    ("Programmable Wireless of both vendors", "`Sim` of `POST /v1/Commands`"): (
        command_needs_a_sim,
        WIRELESS,
    ),
    ("Programmable Wireless of KORE", "`DataLimitStrategy` of `POST /v1/RatePlans`"): (
        strategy_is_taken,
        [KORES],
    ),
    ("Programmable Wireless of KORE", "`list_key`, `direct_token` in the `meta` of usage"): (
        meta_of_usage_has_both,
        [KORES],
    ),
    ("Programmable Wireless of KORE", "`POST /v1/RatePlans`"): (plan_is_made_at_once, [KORES]),
    ("Programmable Wireless of KORE", "`POST /v1/Commands`"): (command_is_made_at_once, [KORES]),
    ("Programmable Wireless of KORE", "`DELETE /v1/Commands/{Sid}`"): (
        command_is_deleted_at_once,
        [KORES],
    ),
    ("Programmable Wireless of KORE", "`deleted` as the `status` of a SIM"): (
        deleted_is_gone,
        [KORES],
    ),
    ("both SIM APIs", "`StartTime`, `EndTime`, `Start`, `End`"): (
        time_without_a_zone_is_utc,
        [*SUPER_SIM, *WIRELESS],
    ),
    ("all of these APIs", "`Page` beyond 0 without a `PageToken`"): (
        page_needs_its_token,
        [*CONTRACTS],
    ),
    ("Event Streams of Twilio", "`segment`, `email` as the `sink_type`"): (
        other_sinks_are_refused,
        EVENT_STREAMS,
    ),
    ("Event Streams of Twilio", "`POST /v1/Sinks/{Sid}/Test`"): (sink_test_is_made, EVENT_STREAMS),
    ("Event Streams of Twilio", "`SinkSid` of `POST /v1/Subscriptions/{Sid}`"): (
        sink_is_changed,
        EVENT_STREAMS,
    ),
    ("Event Streams of Twilio", "`ReceiveEventsFromSubaccounts`, `Filter`"): (
        old_parameters_are_taken,
        EVENT_STREAMS,
    ),
    ("Event Streams of Twilio", "`raw` of a schema version"): (raw_is_served_here, EVENT_STREAMS),
    ("KORE's own APIs", "`Access-Control-Allow-Origin`"): (kores_own_are_closed, [KORES]),
}
CASES = [
    pytest.param(check, contract, id=f"{of} at {contract.host}")
    for (_, of), (check, contracts) in CHECKS.items()
    for contract in contracts
]


def test_the_table_has_each_row_once_and_each_is_tested() -> None:
    listed = [(row.document, row.of) for row in ROWS]
    assert listed == list(CHECKS)


@pytest.mark.parametrize(("check", "contract"), CASES)
async def test_each_row_of_the_table_is_true(check: Check, contract: Contract) -> None:
    await check(contract)


def listed_for(file: str) -> str:
    """Return the subjects of the table's rows about a vendor's file."""
    (contract,) = [one for one in CONTRACTS if one.file == file]
    product, _, vendor = contract.name.partition(" by ")
    return " ".join(
        row.of
        for row in ROWS
        if row.document in (f"{product} of both vendors", f"{product} of {vendor}")
    )


def test_there_is_no_exception_that_the_table_does_not_have() -> None:
    """Check all that the tests of answers and of tables leave out or correct."""
    for part, name in CORRECTIONS:
        for contract in CONTRACTS:
            assert part not in contract.file or f"`{name}`" in listed_for(contract.file)
    for file, asked in OTHER_SUCCESSES:
        assert f"`{asked}`" in listed_for(file)
    for file, values in NEVER.items():
        assert all(f"`{value}`" in listed_for(file) for value in values)
    for file, asked in NOT_AS_PUBLISHED.values():
        assert f"`{asked}`" in listed_for(file)
    for contract in CONTRACTS:
        for row in contract.table:
            for name in row.parameters:
                # A plus marks a parameter that no file declares, or requires.
                assert "+" not in name or f"`{name.strip('+*')}`" in listed_for(contract.file)
