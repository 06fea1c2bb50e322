"""Times on a command line: an instant is left to the server, a duration counts from its time."""

from datetime import UTC, datetime, timedelta

import pytest

from ringback.cli.time_arguments import ago, ahead
from ringback.portal_client import PortalClient
from ringback.testing import Emulator
from tests.ports import free_port


@pytest.fixture
def nobody() -> PortalClient:
    """The portal of a server that does not run."""
    return PortalClient(f"http://127.0.0.1:{free_port()}", "AC1", "made-up")


def test_an_instant_is_passed_on_and_nobody_is_asked_for_the_time(nobody: PortalClient) -> None:
    assert ago("2026-11-24T10:00Z", nobody) == "2026-11-24T10:00Z"
    assert ago(None, nobody) is None


def test_a_duration_is_counted_from_the_time_of_the_server() -> None:
    with Emulator() as emulator:
        emulator.advance("30d")
        portal = PortalClient(emulator.base_url, emulator.account_sid, emulator.auth_token)
        now = portal.now()
        assert ago("2h", portal) == f"{now - timedelta(hours=2):%Y-%m-%dT%H:%M:%S.%fZ}"
        assert ahead("2h", portal) == f"{now + timedelta(hours=2):%Y-%m-%dT%H:%M:%S.%fZ}"


def test_where_the_server_does_not_say_it_is_counted_from_the_time_of_this_machine(
    nobody: PortalClient,
) -> None:
    since = ago("1h", nobody)
    assert since is not None
    passed = datetime.now(UTC) - datetime.fromisoformat(since)
    assert timedelta(hours=1) <= passed < timedelta(hours=1, minutes=1)
