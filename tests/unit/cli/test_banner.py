"""What `ringback dev` says when it is up: whom it warns."""

from datetime import timedelta

from ringback.cli.banner import banner
from ringback.cli.dev_file import NETWORK, DevFile
from ringback.core.policy.source_policy import NOTICE
from ringback.settings import load


def shown_at(base_url: str, **more: str) -> str:
    dev = DevFile(base_url, *(["x"] * 9), **more)
    return banner(dev, load({}, {}), NOTICE.phases[0], ahead=timedelta(0))


def test_who_opens_it_to_the_network_is_warned_before_the_credentials() -> None:
    shown = shown_at("http://0.0.0.0:8080", reachable_from=NETWORK)
    before, _, after = shown.partition("WARNING")
    assert "Auth Token" not in before
    assert after.startswith(
        "  http://0.0.0.0:8080 is open to the network. Anybody who reaches this"
    )
    assert "--host 127.0.0.1 keeps it to this machine" in after


def test_on_this_machine_alone_there_is_no_warning() -> None:
    assert "WARNING" not in shown_at("http://127.0.0.1:8080")
