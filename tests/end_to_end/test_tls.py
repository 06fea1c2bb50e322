"""`ringback dev --tls`: the vendors' own URLs, redirected here as by a hosts file."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from twilio.rest import Client

from tests.receivers import Hang, RecordingReceiver
from tests.served import Served, served

Lead = Callable[[Served], None]

FLAGS = ("--tls", "--tls-port", "0")
KORES = ("supersim.api.korewireless.com", "programmable-wireless.api.korewireless.com")
HOSTS = ("supersim.twilio.com", "wireless.twilio.com", *KORES)


@pytest.fixture
def lead(monkeypatch: pytest.MonkeyPatch) -> Lead:
    """Return a function that redirects this process's requests to the vendors to a server."""
    looked_up = socket.getaddrinfo

    def lead(dev: Served) -> None:
        def look_up(host: str, port: int, *rest: Any, **more: Any) -> Any:
            here = urlsplit(dev.dev["tls_url"])
            target = (here.hostname, here.port) if host in HOSTS else (host, port)
            return looked_up(*target, *rest, **more)

        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        monkeypatch.setenv("NO_PROXY", "*")
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", dev.dev["ca_file"])

    return lead


def ca_of(dev: Served) -> bytes:
    return Path(dev.dev["ca_file"]).read_bytes()


def get(dev: Served, url: str, **more: Any) -> requests.Response:
    pair = (dev.dev["account_sid"], dev.dev["auth_token"])
    return requests.get(url, auth=pair, timeout=20, **more)


def sims_at(dev: Served, host: str) -> dict[str, Any]:
    return get(dev, f"https://{host}/v1/Sims?PageSize=1").json()


async def test_each_product_answers_at_its_vendors_host_names(tmp_path: Path, lead: Lead) -> None:
    async with served(tmp_path, *FLAGS) as dev:
        lead(dev)
        answers = [await asyncio.to_thread(sims_at, dev, host) for host in HOSTS]
    super_sim, wireless = dev.dev["sim_sid"], dev.dev["wireless_sim_sid"]
    assert [sim["sid"] for answer in answers for sim in answer["sims"]] == [super_sim, wireless] * 2
    # KORE's API has it like this.
    assert "eid" in answers[-1]["sims"][0]
    for host, answer in zip(HOSTS, answers, strict=True):
        assert answer["meta"]["url"] == f"https://{host}/v1/Sims?PageSize=1&Page=0"
        assert answer["sims"][0]["url"].startswith(f"https://{host}/v1/Sims/")


async def test_the_official_client_needs_no_setting_but_the_ca(tmp_path: Path, lead: Lead) -> None:
    async with served(tmp_path, *FLAGS) as dev:
        lead(dev)
        client = Client(dev.dev["account_sid"], dev.dev["auth_token"])
        # One record a page, so that the URLs of next pages are followed too.
        super_sims = await asyncio.to_thread(client.supersim.v1.sims.list, page_size=1)
        wireless_sims = await asyncio.to_thread(client.wireless.v1.sims.list, page_size=1)
    assert [sim.sid for sim in super_sims] == [dev.dev["sim_sid"]]
    assert [sim.sid for sim in wireless_sims] == [dev.dev["wireless_sim_sid"]]


async def test_the_ca_stays_the_same_and_a_client_that_does_not_trust_it_is_not_served(
    tmp_path: Path, lead: Lead
) -> None:
    async with served(tmp_path, *FLAGS) as dev:
        first = ca_of(dev)
        assert (await dev.get(dev.sim_path)).body["url"].startswith(dev.dev["base_url"])
    async with served(tmp_path, *FLAGS) as dev:
        assert ca_of(dev) == first
        lead(dev)
        own = f"{dev.dev['tls_url']}{dev.sim_path}"
        assert (await asyncio.to_thread(get, dev, own)).json()["url"] == own
        connection = HTTPSConnection(HOSTS[0], context=ssl.create_default_context(), timeout=20)
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.to_thread(connection.connect)


async def test_stopping_does_not_wait_for_a_client_that_keeps_its_connection(
    tmp_path: Path, lead: Lead, capfd: pytest.CaptureFixture[str]
) -> None:
    async with RecordingReceiver(Hang()) as receiver, served(tmp_path, *FLAGS) as dev:
        lead(dev)
        await dev.post(dev.sim_path, Status="active", CallbackUrl=receiver.url("/a"))
        await receiver.wait_for(1)
        with requests.Session() as session:
            url = f"https://{HOSTS[0]}/healthz"
            assert (await asyncio.to_thread(session.get, url, timeout=20)).status_code == 200
            async with asyncio.timeout(2):
                assert await dev.stop() == 0
    assert capfd.readouterr().err == ""
