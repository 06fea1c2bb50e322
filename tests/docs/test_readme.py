"""What the README says about the client, the receiver and the settings is true."""

import asyncio
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from twilio.rest import Client

from ringback.core.policy.source_policy import Source
from ringback.settings.load import load
from tests.docs import REFERENCE
from tests.fakes import AUTH_TOKEN, KORE_SECRET
from tests.ports import free_port
from tests.senders import rendered
from tests.served import served

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")


async def test_the_official_client_reaches_each_product_where_it_is_told_to(tmp_path: Path) -> None:
    base_urls = dict(re.findall(r'`client\.(\w+)\.base_url = "(.*?)"`', README))
    async with served(tmp_path) as dev:
        client = Client(dev.dev["account_sid"], dev.dev["auth_token"])
        sids = dict[str, str]()
        for product, base_url in base_urls.items():
            here = base_url.replace("http://127.0.0.1:8080", dev.dev["base_url"])
            getattr(client, product).base_url = here
        for product in ("supersim", "wireless"):
            (sim,) = await asyncio.to_thread(getattr(client, product).v1.sims.list)
            sids[product] = sim.sid
        types = await asyncio.to_thread(client.events.v1.event_types.list)
    assert base_urls.keys() == {"supersim", "wireless", "events"}
    assert sids == {"supersim": dev.dev["sim_sid"], "wireless": dev.dev["wireless_sim_sid"]}
    assert "com.twilio.iot.supersim.connection.data-session.started" in {one.type for one in types}


def test_the_receiver_is_short_and_does_the_work_of_each_callback_once(tmp_path: Path) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(program.splitlines()) <= 15
    port = free_port()
    with running(program.replace("9000", str(port)), tmp_path) as receiver:
        url = f"http://127.0.0.1:{port}/path?foo=bar"
        requests = [rendered(source, url=url).to_bytes() for source in Source]
        forged = rendered(Source.KORE, url=url, kore_secret="another").to_bytes()
        answers = [answer(port, sent) for sent in (*requests, *requests, forged)]
        receiver.terminate()
        worked = receiver.communicate()[0]
    assert answers == [200, 200, 200, 200, 403]
    assert [line.partition(" SimUpdated(")[0] for line in worked.splitlines()] == list(Source)


@contextmanager
def running(program: str, folder: Path) -> Generator[subprocess.Popen[str]]:
    secrets = {"TWILIO_AUTH_TOKEN": AUTH_TOKEN, "KORE_SECRET": KORE_SECRET}
    with subprocess.Popen(
        [sys.executable, "-u", "-c", program],
        cwd=folder,
        env=os.environ | secrets,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        yield process
        process.kill()


def answer(port: int, request: bytes) -> int:
    """Return the status of the answer, once there is somebody who gives one."""
    for _ in range(200):
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
                connection.sendall(request)
                return int(connection.makefile("rb").readline().split()[1])
        except ConnectionRefusedError:
            time.sleep(0.05)
    raise AssertionError("nobody listens")


def test_the_tables_in_the_documents_are_a_settings_file(tmp_path: Path) -> None:
    operating = (ROOT / "docs" / "operating.md").read_text("utf-8")
    blocks = re.findall(r"```toml\n(.*?)```", operating + REFERENCE, re.DOTALL)
    file = tmp_path / "ringback.toml"
    file.write_text("\n".join(blocks), "utf-8")
    settings = load({"settings": str(file)}, {})
    assert [str(proxy) for proxy in settings.trusted_proxies] == ["10.0.0.7/32", "10.0.1.0/24"]
    phases, holds = settings.policy.phases, settings.policy.holds
    assert [phase.name for phase in phases] == ["before", "between", "after"]
    assert holds[0].url_prefix == "https://slow-mover.example/"
    assert list(settings.sources) == ["twilio", "kore", "standard-webhooks"]
    patterns = [rule.pattern.text for rule in settings.destinations]
    assert patterns[1:] == [
        "https://*.customer.example:443",
        "https://customer.example:443/meters/*",
    ]
    assert [shadow.url_prefix for shadow in settings.shadows] == ["https://customer.example/"]


def test_each_link_in_the_documents_leads_to_a_file() -> None:
    for document in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")):
        for link in re.findall(r"\]\(([^)#]+)\)", document.read_text("utf-8")):
            assert (document.parent / link).exists(), (document, link)
