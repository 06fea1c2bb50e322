"""Choosing the API of a request, and the URLs in responses."""

import re
from collections.abc import Callable

import pytest

from ringback.api.host_routing import EVENT_HOSTS, LOCAL_HOSTS, SIM_HOSTS
from ringback.core.streams.event_types import SCHEMA_ID
from tests.fakes import SIM_SID
from tests.unit.api.caller import Caller
from tests.unit.api.world import refusal
from tests.wireless_fakes import RATE_PLAN_SID, WIRELESS_SIM_SID

AtHost = Callable[[str], Caller]

SUPER_SIM_HOSTS = [
    "supersim.twilio.com",
    "supersim.dublin.ie1.twilio.com",
    "supersim.api.korewireless.com",
    "SuperSim.Twilio.com",
    "supersim.twilio.com:8443",
    "127.0.0.1:8080",
    "localhost",
    "[::1]:8080",
    "api.twilio.com",
]
WIRELESS_HOSTS = [
    "wireless.twilio.com",
    "wireless.dublin.ie1.twilio.com",
    "wireless.api.korewireless.com",
    "programmable-wireless.api.korewireless.com",
    "PROGRAMMABLE-WIRELESS.api.korewireless.com:443",
]


@pytest.mark.parametrize("host", SUPER_SIM_HOSTS)
async def test_a_bare_path_belongs_to_super_sim(at_host: AtHost, host: str) -> None:
    answer = await at_host(host).get(f"/v1/Sims/{SIM_SID}")
    assert (answer.status, answer.json["sid"]) == (200, SIM_SID)


@pytest.mark.parametrize("host", SUPER_SIM_HOSTS)
async def test_a_bare_list_of_sims_is_super_sims(at_host: AtHost, host: str) -> None:
    sims = (await at_host(host).get("/v1/Sims")).json["sims"]
    assert [sim["sid"] for sim in sims] == [SIM_SID]


@pytest.mark.parametrize("host", WIRELESS_HOSTS)
async def test_at_a_host_of_programmable_wireless_a_bare_path_is_its_own(
    at_host: AtHost, host: str
) -> None:
    answer = await at_host(host).get(f"/v1/Sims/{WIRELESS_SIM_SID}")
    assert (answer.status, answer.json["sid"]) == (200, WIRELESS_SIM_SID)
    sims = (await at_host(host).get("/v1/Sims")).json["sims"]
    assert [sim["sid"] for sim in sims] == [WIRELESS_SIM_SID]


@pytest.mark.parametrize("host", SUPER_SIM_HOSTS)
@pytest.mark.parametrize(
    "target", ["/v1/Commands", "/v1/RatePlans", f"/v1/Sims/{WIRELESS_SIM_SID}/DataSessions"]
)
async def test_operations_of_programmable_wireless_need_its_host_or_its_prefix(
    at_host: AtHost, host: str, target: str
) -> None:
    answer = await at_host(host).get(target)
    assert refusal(answer) == (404, 20404)
    assert answer.json["message"] == f"GET {target}: there is no such resource"
    assert (await at_host(host).get(f"/wireless{target}")).status == 200


@pytest.mark.parametrize("host", WIRELESS_HOSTS)
@pytest.mark.parametrize("target", ["/v1/Fleets", "/v1/SmsCommands"])
async def test_at_a_host_of_programmable_wireless_there_are_no_operations_of_super_sim(
    at_host: AtHost, host: str, target: str
) -> None:
    answer = await at_host(host).get(target)
    assert refusal(answer) == (404, 20404)
    assert answer.json["message"] == f"GET {target}: there is no such resource"


@pytest.mark.parametrize("host", WIRELESS_HOSTS)
async def test_at_a_host_of_programmable_wireless_no_super_sim_is_changed(
    at_host: AtHost, caller: Caller, host: str
) -> None:
    answer = await at_host(host).post(f"/v1/Sims/{SIM_SID}", {"UniqueName": "renamed"})
    assert refusal(answer) == (404, 20404)
    assert (await caller.get(f"/v1/Sims/{SIM_SID}")).json["unique_name"] == "my_super_sim"


@pytest.mark.parametrize("host", SUPER_SIM_HOSTS)
async def test_a_bare_path_changes_no_sim_of_programmable_wireless(
    at_host: AtHost, caller: Caller, host: str
) -> None:
    answer = await at_host(host).post(f"/v1/Sims/{WIRELESS_SIM_SID}", {"UniqueName": "renamed"})
    assert refusal(answer) == (404, 20404)
    sim = (await caller.get(f"/wireless/v1/Sims/{WIRELESS_SIM_SID}")).json
    assert sim["unique_name"] == "meter_1"


@pytest.mark.parametrize(
    ("host", "sid"), [*zip(SIM_HOSTS, [SIM_SID, WIRELESS_SIM_SID] * 2, strict=True)]
)
async def test_each_host_of_the_vendors_sim_apis_has_its_own(
    at_host: AtHost, host: str, sid: str
) -> None:
    assert (await at_host(host).get(f"/v1/Sims/{sid}")).json["sid"] == sid


EVENT_PATHS = ["/v1/Sinks", "/v1/Subscriptions", "/v1/Types", f"/v1/Schemas/{SCHEMA_ID}"]


@pytest.mark.parametrize("host", [EVENT_HOSTS[0], "events.dublin.ie1.twilio.com", "127.0.0.1"])
@pytest.mark.parametrize("path", EVENT_PATHS)
async def test_a_path_that_only_the_events_api_has_needs_no_prefix(
    at_host: AtHost, host: str, path: str
) -> None:
    caller = at_host(host)
    for prefix in ("", "/events"):
        answer = await caller.get(f"{prefix}{path}")
        assert answer.status == 200
        urls = re.findall(rf"http://{re.escape(host)}[^\"]*", answer.body.decode())
        assert urls
        assert all(url.startswith(f"http://{host}{prefix}/v1/") for url in urls)


@pytest.mark.parametrize("host", ["wireless.twilio.com", "webhook.api.korewireless.com"])
@pytest.mark.parametrize("path", EVENT_PATHS)
async def test_at_a_host_of_another_api_the_events_api_needs_its_prefix(
    at_host: AtHost, host: str, path: str
) -> None:
    assert refusal(await at_host(host).get(path)) == (404, 20404)
    assert (await at_host(host).get(f"/events{path}")).status == 200


@pytest.mark.parametrize("path", ["/v1/Sims", "/v1/SinksOdd", "/v1/Sink", "/v1/Schemas"])
async def test_at_the_host_of_the_events_api_there_is_nothing_else(
    at_host: AtHost, path: str
) -> None:
    assert refusal(await at_host(EVENT_HOSTS[0]).get(path)) == (404, 20404)


def test_each_api_has_a_name_on_this_machine() -> None:
    names = ("localhost", "supersim.localhost", "wireless.localhost", "events.localhost")
    assert {*names} < {*LOCAL_HOSTS}


@pytest.mark.parametrize(
    "host", ["webhook.api.korewireless.com", "client.api.korewireless.com", "iam.twilio.com"]
)
async def test_at_a_host_of_another_api_nothing_belongs_to_super_sim(
    at_host: AtHost, host: str
) -> None:
    assert refusal(await at_host(host).get("/v1/Sims")) == (404, 20404)


@pytest.mark.parametrize("host", [*SUPER_SIM_HOSTS, *WIRELESS_HOSTS])
async def test_a_prefix_selects_its_api_at_any_host(at_host: AtHost, host: str) -> None:
    caller = at_host(host)
    assert (await caller.get(f"/supersim/v1/Sims/{SIM_SID}")).json["sid"] == SIM_SID
    sim = (await caller.get(f"/wireless/v1/Sims/{WIRELESS_SIM_SID}")).json
    assert sim["sid"] == WIRELESS_SIM_SID
    assert (await caller.get("/portal/v1/callbacks")).status == 200


async def test_each_product_has_its_own_names(caller: Caller) -> None:
    for path in (f"/supersim/v1/Sims/{SIM_SID}", f"/wireless/v1/Sims/{WIRELESS_SIM_SID}"):
        assert (await caller.post(path, {"UniqueName": "same"})).status == 200
    assert (await caller.get("/v1/Sims/same")).json["sid"] == SIM_SID
    assert (await caller.get("/wireless/v1/Sims/same")).json["sid"] == WIRELESS_SIM_SID


@pytest.mark.parametrize(
    "host", ["supersim.twilio.com", "127.0.0.1:8080", "[::1]:8080", "supersim.twilio.com:8443"]
)
@pytest.mark.parametrize("prefix", ["", "/supersim"])
async def test_urls_have_the_host_and_the_prefix_of_the_request(
    at_host: AtHost, host: str, prefix: str
) -> None:
    caller = at_host(host)
    sims = f"http://{host}{prefix}/v1/Sims"
    sim = (await caller.get(f"{prefix}/v1/Sims/{SIM_SID}")).json
    meta = (await caller.get(f"{prefix}/v1/Sims")).json["meta"]
    assert sim["url"] == f"{sims}/{SIM_SID}"
    assert sim["links"] == {
        "billing_periods": f"{sims}/{SIM_SID}/BillingPeriods",
        "sim_ip_addresses": f"{sims}/{SIM_SID}/IpAddresses",
    }
    assert meta["url"] == f"{sims}?PageSize=50&Page=0"


@pytest.mark.parametrize(
    ("host", "prefix"),
    [
        ("127.0.0.1:8080", "/wireless"),
        ("supersim.twilio.com", "/wireless"),
        ("wireless.twilio.com", ""),
        ("wireless.twilio.com", "/wireless"),
        ("programmable-wireless.api.korewireless.com", ""),
        ("wireless.dublin.ie1.twilio.com:8443", ""),
    ],
)
async def test_urls_of_programmable_wireless_have_them_too(
    at_host: AtHost, host: str, prefix: str
) -> None:
    caller = at_host(host)
    base = f"http://{host}{prefix}/v1"
    sim = (await caller.get(f"{prefix}/v1/Sims/{WIRELESS_SIM_SID}")).json
    plan = (await caller.get(f"{prefix}/v1/RatePlans/{RATE_PLAN_SID}")).json
    meta = (await caller.get(f"{prefix}/v1/Sims")).json["meta"]
    assert sim["url"] == f"{base}/Sims/{WIRELESS_SIM_SID}"
    assert sim["links"] == {
        "data_sessions": f"{base}/Sims/{WIRELESS_SIM_SID}/DataSessions",
        "rate_plan": plan["url"],
        "usage_records": f"{base}/Sims/{WIRELESS_SIM_SID}/UsageRecords",
    }
    assert plan["url"] == f"{base}/RatePlans/{RATE_PLAN_SID}"
    assert meta["url"] == f"{base}/Sims?PageSize=50&Page=0"
    for url in (sim["url"], *sim["links"].values(), meta["url"]):
        assert (await caller.get(url.removeprefix(f"http://{host}"))).status == 200


async def test_a_sim_requested_by_its_name_has_the_url_of_its_sid(caller: Caller) -> None:
    sim = (await caller.get("/v1/Sims/my_super_sim")).json
    assert sim["url"] == f"http://127.0.0.1:8080/v1/Sims/{SIM_SID}"


@pytest.mark.parametrize("prefix", ["", "/supersim"])
async def test_the_next_page_is_at_its_url(at_host: AtHost, prefix: str) -> None:
    caller = at_host("supersim.twilio.com")
    form = {"Iccid": "8988307000000000003", "RegistrationCode": "H3LL0W0RLD"}
    await caller.post(f"{prefix}/v1/Sims", form)
    meta = (await caller.get(f"{prefix}/v1/Sims?PageSize=1")).json["meta"]
    origin, path = "http://supersim.twilio.com", f"{prefix}/v1/Sims?"
    assert meta["next_page_url"].startswith(origin + path)
    following = (await caller.get(meta["next_page_url"].removeprefix(origin))).json
    assert [sim["sid"] for sim in following["sims"]] == [SIM_SID]


@pytest.mark.parametrize("prefix", ["", "/supersim"])
async def test_a_registered_sim_can_be_fetched_at_its_url(caller: Caller, prefix: str) -> None:
    form = {"Iccid": "8988307000000000003", "RegistrationCode": "H3LL0W0RLD"}
    url = (await caller.post(f"{prefix}/v1/Sims", form)).json["url"]
    assert url.startswith(f"http://127.0.0.1:8080{prefix}/v1/Sims/HS")
    assert (await caller.get(url.removeprefix("http://127.0.0.1:8080"))).json["url"] == url


@pytest.mark.parametrize(
    "host",
    [
        "evil.example/path",
        "evil.example@127.0.0.1",
        "evil.example#",
        "evil.example?x=",
        "a b",
        "[",
        "[::1",
        "]",
        'a"b',
        "a<script>",
        "a\xe9b",
        "host:port",
        "host:123456",
        "host:80:80",
        ":80",
        "",
        "a\tb",
    ],
)
async def test_an_invalid_host_is_in_no_url(at_host: AtHost, host: str) -> None:
    caller = at_host(host)
    sim = (await caller.get(f"/v1/Sims/{SIM_SID}")).json
    meta = (await caller.get("/v1/Sims")).json["meta"]
    assert sim["url"] == f"http://127.0.0.1:8080/v1/Sims/{SIM_SID}"
    assert meta["first_page_url"] == "http://127.0.0.1:8080/v1/Sims?PageSize=50&Page=0"


@pytest.mark.parametrize("host", ["supersim.twilio.com", "supersim.twilio.com:8443"])
async def test_over_https_urls_are_https(at_host: AtHost, host: str) -> None:
    answer = await at_host(host).call("GET", "/v1/Sims", scheme="https")
    assert answer.json["meta"]["url"] == f"https://{host}/v1/Sims?PageSize=50&Page=0"


async def test_the_scheme_is_that_of_the_request(caller: Caller) -> None:
    answer = await caller.call("GET", f"/v1/Sims/{SIM_SID}", scheme="https")
    assert answer.json["url"] == f"https://127.0.0.1:8080/v1/Sims/{SIM_SID}"
