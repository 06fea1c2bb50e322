"""No input causes a 5xx, and every refusal has the form of an error."""

import asyncio
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote_from_bytes, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringback.core.policy.source_policy import Source
from ringback.core.sims.mobile_networks import NETWORKS
from ringback.stores.sqlite.store import SqliteStore
from tests.fakes import ACCOUNT_SID, AUTH_TOKEN, FLEET_SID, PROFILE_SID, SIM_SID, VAULT
from tests.streams import STARTED, a_sink, a_subscription, add_stream
from tests.unit.api.caller import Answer, Caller
from tests.unit.api.world import app_on, fill, refusal
from tests.wireless_fakes import RATE_PLAN_SID, WIRELESS_SIM_SID

TARGETS = st.sampled_from(
    [
        "/v1/Sims",
        f"/v1/Sims/{SIM_SID}",
        "/supersim/v1/Sims/my_super_sim",
        f"/v1/Sims/{SIM_SID}/BillingPeriods",
        f"/v1/Sims/{SIM_SID}/IpAddresses",
        "/v1/SmsCommands",
        "/v1/IpCommands",
        "/v1/ESimProfiles",
        "/v1/Fleets",
        f"/v1/Fleets/{FLEET_SID}",
        "/v1/NetworkAccessProfiles",
        f"/v1/NetworkAccessProfiles/{PROFILE_SID}",
        f"/v1/NetworkAccessProfiles/{PROFILE_SID}/Networks",
        f"/v1/NetworkAccessProfiles/{PROFILE_SID}/Networks/{NETWORKS[0].sid}",
        "/v1/Networks",
        "/v1/SettingsUpdates",
        "/v1/UsageRecords",
        "/wireless/v1/Sims",
        f"/wireless/v1/Sims/{WIRELESS_SIM_SID}",
        f"/wireless/v1/Sims/{WIRELESS_SIM_SID}/UsageRecords",
        f"/wireless/v1/Sims/{WIRELESS_SIM_SID}/DataSessions",
        "/wireless/v1/Commands",
        "/wireless/v1/RatePlans",
        f"/wireless/v1/RatePlans/{RATE_PLAN_SID}",
        "/wireless/v1/UsageRecords",
        "/v1/Sinks",
        f"/v1/Sinks/DG{1:032x}",
        f"/v1/Sinks/DG{1:032x}/Test",
        f"/v1/Sinks/DG{1:032x}/Validate",
        "/v1/Subscriptions",
        f"/v1/Subscriptions/DF{1:032x}",
        f"/v1/Subscriptions/DF{1:032x}/SubscribedEvents",
        f"/v1/Subscriptions/DF{1:032x}/SubscribedEvents/{STARTED}",
        "/v1/Types",
        "/portal/v1/callbacks",
        "/portal/v1/callbacks/CB1/attempts",
        "/portal/v1/callbacks/CB1/replay",
        "/portal/v1/callbacks/CB1/discard",
        "/portal/v1/undelivered",
        "/portal/v1/replays",
        "/portal/v1/wireless_sims",
        "/portal/v1/devices/meter_1",
        "/portal/v1/devices/meter_1/commands",
        "/portal/v1/devices/meter_1/data",
        "/portal/v1/devices/meter_1/inbox",
    ]
)
METHODS = st.sampled_from(["GET", "POST", "HEAD", "DELETE", "OPTIONS", "ODD"])
NAMES = st.sampled_from(
    [
        "UniqueName",
        "Status",
        "Fleet",
        "CallbackUrl",
        "CallbackMethod",
        "AccountSid",
        "Iccid",
        "RegistrationCode",
        "Sim",
        "Payload",
        "PayloadType",
        "DevicePort",
        "Direction",
        "Eid",
        "GenerateMatchingId",
        "NetworkAccessProfile",
        "DataLimit",
        "SmsCommandsUrl",
        "IpCommandsUrl",
        "Networks",
        "Network",
        "IsoCountry",
        "Mcc",
        "Group",
        "Granularity",
        "StartTime",
        "EndTime",
        "RatePlan",
        "FriendlyName",
        "ResetStatus",
        "SmsUrl",
        "CommandsCallbackUrl",
        "Command",
        "CommandMode",
        "IncludeSid",
        "DataMetering",
        "InternationalRoaming",
        "Start",
        "End",
        "Upload",
        "Narrowband",
        "PageSize",
        "Page",
        "PageToken",
        "Source",
        "IdempotencyToken",
        "Destination",
        "UrlPrefix",
        "CreatedAfter",
        "CreatedBefore",
        "Sids",
        "Since",
        "Until",
        "After",
        "AsOtherSource",
        "DryRun",
        "Reason",
        *("Description", "SinkType", "SinkConfiguration", "SinkSid", "Types", "Type", "TestId"),
        *("InUse", "SchemaVersion", "Filter"),
        "Odd",
    ]
)
URLS = st.builds(
    "http://{}#{}".format,
    st.sampled_from(["a.example", "[::1]:9", "u:p@a.example/ü", "a.example?x", ""]) | st.text(),
    st.sampled_from(["cbs=kore", "cbs=foo", "rc=9", "rp=5xx,ct", "e=a,b", ""]) | st.text(),
)
VALUES = st.one_of(
    st.text(),
    URLS,
    st.sampled_from(
        [
            *("active", "inactive", "ready", "GET", "POST", "my_fleet", "1", "0", "PA", "PB"),
            *("my_super_sim", "my_profile", "true", "false", "text", "binary", "100", "AP8="),
            *("sim", "hour", "day", "US", "310", "queued", "to_sim", NETWORKS[0].sid),
            *("hourly", "daily", "suspended", "resetting", "my_plan", "meter_1", "quota-1", "end"),
            *(
                "webhook",
                "kinesis",
                f"DG{1:032x}",
                f"DF{1:032x}",
                STARTED,
                f'{{"type":"{STARTED}"}}',
            ),
            *("yes", "no", "undelivered", "kore", "2024-07-03T14:40:58Z", "0001-01-01T00:00+23:59"),
        ]
    ),
    st.integers().map(str),
    st.deferred(lambda: JSON).map(lambda value: json.dumps({"destination": value})),
)
FORMS = st.lists(st.tuples(NAMES, VALUES), max_size=6).map(urlencode)
NOTHING_MUCH = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | URLS
JSON = st.recursive(NOTHING_MUCH, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))
CALLBACKS = st.fixed_dictionaries(
    {"url": URLS | JSON, "parameters": st.dictionaries(st.text(), NOTHING_MUCH) | JSON},
    optional={
        "method": st.sampled_from(["GET", "POST"]) | JSON,
        "idempotency_key": st.text() | JSON,
        "ordering_key": st.text() | JSON,
        "deliver_at": st.datetimes().map("{:%Y-%m-%dT%H:%M:%SZ}".format) | JSON,
        "odd": JSON,
    },
)
DOCUMENTS = CALLBACKS | st.fixed_dictionaries({"callbacks": st.lists(CALLBACKS) | JSON}) | JSON
# No server passes a raw byte beyond ASCII to the application, only its escape.
ESCAPED = st.binary().map(lambda raw: quote_from_bytes(raw, safe="/&=+"))
LATIN = st.text(st.characters(max_codepoint=255))


class Hostile:
    """Calls the application on a real database, many times."""

    def __init__(self, folder: Path, runner: asyncio.Runner) -> None:
        self._run = runner.run
        self._store = SqliteStore.open(folder / "ringback.db", VAULT)
        self._run(self._fill())
        self._caller = Caller(app_on(self._store), credentials=(ACCOUNT_SID, AUTH_TOKEN))

    async def _fill(self) -> None:
        await self._store.transact(fill)
        stream = a_sink(1, Source.TWILIO), a_subscription(1, Source.TWILIO, types={STARTED: 2})
        await self._store.transact(lambda tx: add_stream(tx, *stream))

    def close(self) -> None:
        self._run(self._store.close())

    def check(self, method: str, target: str, *body: bytes, **headers: str) -> None:
        """Call, and check the response; the lists must be unchanged."""
        _check(self._call(method, target, *body, **headers))
        for listed in ("/v1/Sims", "/portal/v1/callbacks"):
            assert self._call("GET", listed).status == 200

    def _call(self, method: str, target: str, *body: bytes, **headers: str) -> Answer:
        return self._run(self._caller.call(method, target, *body, headers=headers))


def _check(answer: Answer) -> None:
    assert answer.raised is None
    assert answer.status < 500
    if answer.status >= 400:
        refusal(answer)


@pytest.fixture(scope="module")
def hostile() -> Iterator[Hostile]:
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner() as runner:
        caller = Hostile(Path(folder), runner)
        yield caller
        caller.close()


def calls(**what: st.SearchStrategy[Any]) -> Any:
    """Run a test with these inputs, a hundred times."""

    def decorate(test: Any) -> Any:
        return settings(max_examples=100, deadline=None)(given(**what)(test))

    return decorate


@calls(target=TARGETS, body=st.binary() | FORMS.map(str.encode))
def test_any_body(hostile: Hostile, target: str, body: bytes) -> None:
    hostile.check("POST", target, body)


@calls(form=FORMS)
def test_any_values_for_an_update(hostile: Hostile, form: str) -> None:
    hostile.check("POST", f"/v1/Sims/{SIM_SID}", form.encode())


@calls(method=METHODS, target=TARGETS, query=ESCAPED | FORMS)
def test_any_query(hostile: Hostile, method: str, target: str, query: str) -> None:
    hostile.check(method, f"{target}?{query}")


@calls(
    method=METHODS,
    start=st.sampled_from(["", "/", "/v1/", "/v1/Sims/", "/portal/v1/callbacks/"]),
    path=ESCAPED,
)
def test_any_path(hostile: Hostile, method: str, start: str, path: str) -> None:
    hostile.check(method, f"{start}{path}")


@calls(target=TARGETS, host=LATIN, authorization=LATIN | LATIN.map("Basic {}".format))
def test_any_headers(hostile: Hostile, target: str, host: str, authorization: str) -> None:
    hostile.check("GET", target, host=host)
    hostile.check("GET", target, authorization=authorization)


@calls(content_type=LATIN, body=st.binary())
def test_any_content_type(hostile: Hostile, content_type: str, body: bytes) -> None:
    hostile.check("POST", f"/v1/Sims/{SIM_SID}", body, **{"content-type": content_type})


@calls(document=DOCUMENTS, escapes=st.booleans())
def test_any_json_for_a_callback(hostile: Hostile, document: Any, escapes: bool) -> None:
    # Lone surrogates are sent as they are, in bytes that are not valid UTF-8.
    body = json.dumps(document, ensure_ascii=escapes).encode("utf-8", "surrogatepass")
    hostile.check("POST", "/portal/v1/callbacks", body, **{"content-type": "application/json"})


@calls(body=st.binary() | st.text(alphabet='{}[]":, \\u0de').map(str.encode))
def test_anything_in_place_of_json(hostile: Hostile, body: bytes) -> None:
    hostile.check("POST", "/portal/v1/callbacks", body, **{"content-type": "application/json"})
