"""An account's API as the URL source of a migration: the official client, and a real server."""

import subprocess
import sys
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from twilio.http.http_client import TwilioHttpClient
from twilio.http.response import Response

from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.core.errors import ConfigurationError
from ringback.core.policy.source_policy import Source
from ringback.migration.url_source import EditOutcome, UrlEdit, UrlEntry, UrlLocation
from ringback.migration.url_sources import twilio_client
from ringback.migration.url_sources.api import ApiUrlSource
from ringback.ports import UrlDeliveryTotals
from tests.receivers import RecordingReceiver
from tests.served import Served, served

OLD = "https://user:pass@a.example/p?x=1#rc=2"
NEW = "https://user:pass@a.example/p?x=1#rc=2&cbs=kore"
MISSING = "HF" + "0" * 32


@pytest_asyncio.fixture
async def dev(tmp_path: Path) -> AsyncGenerator[Served]:
    async with served(tmp_path, "--update-takes", "10ms") as dev:
        yield dev


def url_source_at(dev: Served, **given: str) -> ApiUrlSource:
    account = {"account_sid": dev.dev["account_sid"], "auth_token": dev.dev["auth_token"]}
    return ApiUrlSource.open(**{**account, "server": dev.dev["base_url"], **given})


async def fleet_sid_of(dev: Served) -> str:
    return (await dev.get("/v1/Fleets")).body["fleets"][0]["sid"]


async def test_all_urls_in_the_api_are_read_page_by_page(
    dev: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(twilio_client, "_PAGE_SIZE", 2)
    profile = (await dev.get("/v1/NetworkAccessProfiles")).body["network_access_profiles"][0]["sid"]
    sids = list[str]()
    for _ in range(5):
        form = {"SmsCommandsUrl": OLD, "SmsCommandsMethod": "GET", "NetworkAccessProfile": profile}
        sids.append((await dev.post("/v1/Fleets", **form)).body["sid"])
    await dev.post(f"/v1/Fleets/{sids[0]}", IpCommandsUrl=NEW)
    await dev.post(dev.wireless_sim_path, CommandsCallbackUrl="http://a.example")
    own = dev.dev["account_sid"]

    def at(name: str) -> UrlLocation:
        return UrlLocation(name, own)

    entries = await url_source_at(dev).entries()
    assert [entry for entry in entries if entry.url == OLD] == [
        UrlEntry(at(f"fleet {sid} SmsCommandsUrl"), OLD, HttpMethod.GET) for sid in sids[::-1]
    ]
    assert UrlEntry(at(f"fleet {sids[0]} IpCommandsUrl"), NEW) in entries
    wireless = f"SIM {dev.dev['wireless_sim_sid']} CommandsCallbackUrl"
    assert entries[-1] == UrlEntry(at(wireless), "http://a.example")


async def test_edits_are_made_only_if_the_url_has_not_changed_and_undone(dev: Served) -> None:
    fleet, own = await fleet_sid_of(dev), dev.dev["account_sid"]
    await dev.post(f"/v1/Fleets/{fleet}", SmsCommandsUrl=OLD, SmsCommandsMethod="GET")
    await dev.post(dev.wireless_sim_path, CommandsCallbackUrl=OLD)
    sms, ip = (
        UrlLocation(f"fleet {fleet} {name}Url", own) for name in ("SmsCommands", "IpCommands")
    )
    commands = UrlLocation(f"SIM {dev.dev['wireless_sim_sid']} CommandsCallbackUrl", own)
    gone = (
        ip,
        UrlLocation(f"fleet {MISSING} SmsCommandsUrl", own),
        UrlLocation(f"fleet {fleet} NoSuchUrl", own),
        UrlLocation("app.py:12", own),
        UrlLocation(sms.name, "AC" + "f" * 32),
    )
    edits = [UrlEdit(place, OLD, NEW) for place in (sms, commands, *gone, *gone)]
    await dev.post(f"/v1/Fleets/{fleet}", IpCommandsUrl="")
    url_source = url_source_at(dev)
    assert await url_source.replace(edits) == [EditOutcome.DONE] * 2 + [EditOutcome.GONE] * 10
    assert await url_source.replace(edits[:2]) == [EditOutcome.DONE] * 2
    assert await url_source.replace([UrlEdit(sms, OLD, "https://b.example")]) == [
        EditOutcome.CHANGED
    ]
    shown = (await dev.get(f"/v1/Fleets/{fleet}")).body
    assert (shown["sms_commands_url"], shown["sms_commands_method"]) == (NEW, "GET")
    assert await url_source.replace([edit.back() for edit in edits[:2]]) == [EditOutcome.DONE] * 2
    assert {entry.url for entry in await url_source.entries()} == {OLD}


async def test_a_refusal_by_the_api_is_reported_without_secrets(dev: Served) -> None:
    fleet = await fleet_sid_of(dev)
    await dev.post(f"/v1/Fleets/{fleet}", SmsCommandsUrl=OLD)
    place = UrlLocation(f"fleet {fleet} SmsCommandsUrl")
    edit = UrlEdit(place, OLD, f"{OLD}&cbs=else")
    with pytest.raises(
        ConfigurationError, match=f"{fleet}: the API answers 400: .*cbs must be"
    ) as refused:
        await url_source_at(dev).replace([edit])
    assert "pass" not in str(refused.value)
    with pytest.raises(ConfigurationError, match="the API answers 401") as refused:
        await url_source_at(dev, auth_token="made-up").entries()
    assert "made-up" not in str(refused.value)


async def test_ringback_reports_the_results_of_the_callbacks(dev: Served) -> None:
    deliveries = url_source_at(dev).deliveries
    assert deliveries is not None
    since = datetime.now(UTC) - timedelta(hours=1)
    async with RecordingReceiver() as receiver:
        url = f"{receiver.url('/a')}#cbs=kore"
        await dev.post(dev.sim_path, Status="inactive", CallbackUrl=url)
        await receiver.wait_for(1)
        await dev.settled()
    totals = await deliveries.totals(since=since, until=since + timedelta(hours=2))
    own = dev.dev["account_sid"]
    (found,) = totals
    at = found.last
    assert at is not None
    assert found == UrlDeliveryTotals(
        own, url, Source.KORE, Source.KORE, 1, 0, 0, 0, last=at, last_delivered=at
    )
    assert await deliveries.totals(since=since, until=since + timedelta(minutes=1)) == []


# ---- without a server ----------------------------------------------------------------------------


def opened(**given: Any) -> ApiUrlSource:
    return ApiUrlSource.open(**{"account_sid": "AC1", "auth_token": "made-up", **given})


def answering(monkeypatch: pytest.MonkeyPatch, status: int, text: str) -> list[str]:
    """Answer every request like this, and return the list of requests."""
    asked = list[str]()

    def request(self: Any, method: str, url: str, *args: Any, **kwargs: Any) -> Response:
        asked.append(url)
        return Response(status, text)

    monkeypatch.setattr(TwilioHttpClient, "request", request)
    return asked


def test_without_a_server_requests_go_to_twilios_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWILIO_EDGE", "sydney")
    asked = answering(monkeypatch, 200, '{"meta": {"key": "fleets"}, "fleets": [], "sims": []}')
    url_source = opened()
    assert list(url_source.official.urls()) == []
    assert asked == ["https://supersim.twilio.com/v1/Fleets", "https://wireless.twilio.com/v1/Sims"]
    assert url_source.deliveries is None


@pytest.mark.parametrize("server", [None, "http://127.0.0.1:8080"])
def test_its_source_text_says_how_to_find_it_again(server: str | None) -> None:
    url_source = opened(server=server)
    assert url_source.spec == {"kind": "api", "account": "AC1", "server": server}
    assert "made-up" not in repr(url_source)


@pytest.mark.parametrize(("status", "text"), [(200, "<html>"), (200, "{}"), (502, "<html>")])
async def test_an_answer_that_is_not_the_apis_is_reported(
    monkeypatch: pytest.MonkeyPatch, status: int, text: str
) -> None:
    answering(monkeypatch, status, text)
    url_source = opened(server="http://a.example")
    assert url_source.deliveries is not None
    now = datetime.now(UTC)
    with pytest.raises(
        ConfigurationError, match=r"^the totals: (the API answers 502|this response does not come)"
    ):
        await url_source.deliveries.totals(since=now, until=now)
    with pytest.raises(
        ConfigurationError,
        match=r"^supersim.v1.fleets: (the API answers 502|this response does not come)",
    ):
        await url_source.entries()


async def test_text_quoted_by_the_api_is_reported_without_its_credentials(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answering(monkeypatch, 400, f'{{"message": "{OLD} is odd", "code": 21502}}')
    with pytest.raises(ConfigurationError, match=r"//…@a.example/p.* is odd") as refused:
        await opened().replace([UrlEdit(UrlLocation(f"fleet {MISSING} SmsCommandsUrl"), OLD, NEW)])
    assert "pass" not in str(refused.value)


async def test_an_unreachable_server_is_reported() -> None:
    with pytest.raises(ConfigurationError, match="can't be reached"):
        await opened(server="http://127.0.0.1:1").entries()


@pytest.mark.parametrize(
    "server",
    [
        "ringback",
        "ftp://a.example",
        "http://a.example/v1",
        "http://a:secret@a.example",
        "http://[:",
    ],
)
def test_an_invalid_server_is_refused(server: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        opened(server=server)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("server", ["http://a.example:8080/", "http://a.example:8080"])
def test_a_server_may_end_with_a_slash(server: str) -> None:
    assert opened(server=server).server == "http://a.example:8080"


def test_without_the_client_it_says_how_to_get_it() -> None:
    script = """
import sys
sys.modules["twilio"] = None
from ringback.core.errors import ConfigurationError
from ringback.migration.url_sources.api import ApiUrlSource
try:
    ApiUrlSource.open(account_sid="AC1", auth_token="")
except ConfigurationError as missing:
    print(missing)
"""
    said = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert "twilio" in said.stdout
    assert "pip install 'ringback[migrate]'" in said.stdout
