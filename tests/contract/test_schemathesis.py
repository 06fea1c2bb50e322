"""Schemathesis calls every operation of our OpenAPI documents with generated input.

The server and the store are real. In half of the calls, the record that a path or a parameter names
exists.
"""

import asyncio
import re
import subprocess
import sys
import threading
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from ringback.api import login_rate_limiter
from ringback.api.app import create_app
from ringback.api.serve_on_socket import base_url_of, bind, serve
from ringback.core.streams.event_types import SCHEMA_ID
from ringback.stores.sqlite.store import SqliteStore
from tests.fakes import (
    ACCOUNT_SID,
    AUTH_TOKEN,
    CALLBACK_SID,
    FLEET_SID,
    PROFILE_SID,
    SIM_SID,
    VAULT,
)
from tests.streams import ENDED, STARTED, UPDATED
from tests.unit.api.plenty import (
    ESIM_SID,
    FREE_PLAN_SID,
    FREE_SINK_SID,
    IP_SID,
    NETWORK_SID,
    NEW_SIM_SID,
    NEW_SINK_SID,
    NEW_WIRELESS_SIM_SID,
    SINK_SID,
    SMS_SID,
    SUBSCRIPTION_SID,
    TEST_ID,
    fill_with_plenty,
)
from tests.unit.api.world import dependencies_on
from tests.wireless_fakes import (
    COMMAND_SID,
    RATE_PLAN_SID,
    WIRELESS_ICCID,
    WIRELESS_NAME,
    WIRELESS_SIM_SID,
)


class Known(NamedTuple):
    """An OpenAPI document, and the existing records that its requests can name."""

    document: str
    paths: dict[str, list[str]]
    """Values by the paths that have them."""
    named: dict[str, list[str]]
    """Values by the parameters that have them."""


_PATHS: Final = {
    "/v1/Sims/": [SIM_SID, NEW_SIM_SID],
    "/v1/SmsCommands/": [SMS_SID],
    "/v1/IpCommands/": [IP_SID],
    "/v1/ESimProfiles/": [ESIM_SID],
    "/v1/Fleets/": [FLEET_SID, "my_fleet"],
    "/v1/NetworkAccessProfiles/": [PROFILE_SID, "my_profile"],
    "/v1/Networks/": [NETWORK_SID],
    "/portal/v1/callbacks/": [CALLBACK_SID],
    "/portal/v1/esim_profiles/": [ESIM_SID],
}
_NAMED: Final = {
    "path.network_sid": [NETWORK_SID],
    "path.sim": [SIM_SID, WIRELESS_SIM_SID],
    "body.Sim": [SIM_SID],
    "query.Sim": [SIM_SID],
    "body.Fleet": [FLEET_SID],
    "query.Fleet": [FLEET_SID],
    "body.NetworkAccessProfile": [PROFILE_SID],
    "body.Network": [NETWORK_SID],
    "query.Network": [NETWORK_SID],
    "body.Iccid": ["89883070000123456789"],
    "body.RegistrationCode": ["H3LL0W0RLD"],
}
_WIRELESS_PATHS: Final = {
    "/v1/Sims/": [WIRELESS_SIM_SID, NEW_WIRELESS_SIM_SID, WIRELESS_NAME],
    "/v1/Commands/": [COMMAND_SID],
    "/v1/RatePlans/": [RATE_PLAN_SID, FREE_PLAN_SID],
}
_WIRELESS_NAMED: Final = {
    "body.Sim": [WIRELESS_SIM_SID],
    "query.Sim": [WIRELESS_SIM_SID],
    "body.RatePlan": [RATE_PLAN_SID, FREE_PLAN_SID],
    "query.RatePlan": [RATE_PLAN_SID],
    "query.Iccid": [WIRELESS_ICCID],
}
_EVENT_PATHS: Final = {
    "/v1/Sinks/": [SINK_SID, FREE_SINK_SID, NEW_SINK_SID],
    "/v1/Subscriptions/": [SUBSCRIPTION_SID],
}
_EVENT_NAMED: Final = {
    "path.type": [STARTED.value, ENDED.value],
    "path.schema_id": [SCHEMA_ID],
    "path.schema_version": ["1", "2"],
    "body.SinkSid": [SINK_SID, FREE_SINK_SID],
    "query.SinkSid": [SINK_SID],
    "body.SinkConfiguration": ['{"destination": "http://a.example#x"}', "{}", "[", '{"a": 1}'],
    "body.Type": [UPDATED.value],
    "body.TestId": [TEST_ID],
}
SUPER_SIM: Final = Known("/openapi.json", _PATHS, _NAMED)
WIRELESS: Final = Known("/wireless/openapi.json", _WIRELESS_PATHS, _WIRELESS_NAMED)
EVENT_STREAMS: Final = Known("/events/openapi.json", _EVENT_PATHS, _EVENT_NAMED)

# A valid request may still be refused because of a record's state, so that isn't checked. Unknown
# parameters have no effect, as with the vendors, so none is generated that should be refused.
SETTINGS: Final = f"""\
seed = 4
workers = 1
color = false
warnings = false
auth.basic = {{ username = "{ACCOUNT_SID}", password = "{AUTH_TOKEN}" }}
checks.positive_data_acceptance.enabled = false
generation.deterministic = true
generation.database = "none"
generation.allow-extra-parameters = false
phases.stateful.enabled = false
"""


def settings(known: Known, examples: int) -> str:
    lines = [SETTINGS, f"generation.max-examples = {examples}"]
    for name, values in (known.paths | known.named).items():
        lines.append(f'[dictionaries."{name}"]\nvalues = {values}')
    lines.append("[parameters]")
    lines += [f'"{name}" = {{ dictionary = "{name}", probability = 0.5 }}' for name in known.named]
    for path in known.paths:
        lines.append(f'[[operations]]\ninclude-path-regex = "^{path}"')
        lines.append(f'parameters."path.sid" = {{ dictionary = "{path}", probability = 0.5 }}')
    return "\n".join(lines)


@asynccontextmanager
async def stored(folder: Path) -> AsyncGenerator[SqliteStore]:
    store = SqliteStore.open(folder / "ringback.db", VAULT)
    await store.transact(fill_with_plenty)
    yield store
    await store.close()


@pytest.fixture
def base_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[str]:
    """Serve the application in a thread with a loop of its own."""
    # It tries wrong credentials too, everywhere.
    for most in ("MOST_OF_A_NAME", "MOST_OF_A_NAME_IN_ALL", "MOST_OF_AN_ADDRESS"):
        monkeypatch.setattr(login_rate_limiter, most, 100_000)
    listener, started, stop = bind("127.0.0.1", 0), threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def run() -> None:
        async with stored(tmp_path) as store:
            started.set()
            await serve(create_app(dependencies_on(store)), listener, until=stop)

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()))
    thread.start()
    assert started.wait(10)
    yield base_url_of(listener)
    loop.call_soon_threadsafe(stop.set)
    thread.join()
    loop.close()
    listener.close()


@pytest.mark.timeout(180)  # seconds; ten on an idle machine
@pytest.mark.parametrize(
    ("known", "examples"),
    [
        pytest.param(SUPER_SIM, 1, id="Super SIM"),
        pytest.param(SUPER_SIM, 12, id="Super SIM in more detail", marks=pytest.mark.long),
        pytest.param(EVENT_STREAMS, 1, id="Event Streams"),
        pytest.param(EVENT_STREAMS, 12, id="Event Streams in more detail", marks=pytest.mark.long),
        pytest.param(WIRELESS, 12, id="Programmable Wireless", marks=pytest.mark.long),
    ],
)
def test_every_answer_is_in_the_document(
    base_url: str, tmp_path: Path, known: Known, examples: int
) -> None:
    file = tmp_path / "schemathesis.toml"
    file.write_text(settings(known, examples), "utf-8")
    command = (sys.executable, "-m", "schemathesis.cli", "--config-file", str(file))
    done = subprocess.run(
        (*command, "run", f"{base_url}{known.document}"),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.search(r"Selected: (\d+)/(\d+)\s+Tested: (\d+)", done.stdout)
    assert found is not None, done.stdout
    assert len(set(found.groups())) == 1, done.stdout
