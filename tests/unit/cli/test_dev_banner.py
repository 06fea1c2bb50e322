"""What `ringback dev` says when it is up: whom it warns, and how HTTPS is reached."""

from datetime import timedelta

import pytest

from ringback.cli.dev.banner import banner, tls_banner
from ringback.core.policy.source_policy import NOTICE
from ringback.dev_environment.dev_file import NETWORK, DevServerDetails
from ringback.settings.load import load


def shown_at(base_url: str, **more: str) -> str:
    dev = DevServerDetails(base_url, *(["x"] * 9), **more)
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


# ---- HTTPS: commands to paste, and a port that no hosts file changes -----------------------------


def banner_for(tls_url: str, ca_file: str = "/data/tls/ca.pem") -> str:
    return tls_banner(DevServerDetails(*[""] * 10, tls_url=tls_url, ca_file=ca_file))


def test_it_names_the_url_the_ca_and_the_line_of_the_hosts_file() -> None:
    lines = banner_for("https://127.0.0.1").splitlines()
    assert "5. HTTPS is at https://127.0.0.1, " in lines[1]
    assert "  export CA=/data/tls/ca.pem" in lines
    assert (
        "  127.0.0.1 supersim.twilio.com wireless.twilio.com supersim.api.korewireless.com"
        " programmable-wireless.api.korewireless.com api.korewireless.com"
        " client.api.korewireless.com iam.api.korewireless.com webhook.api.korewireless.com"
    ) in lines


def test_the_ca_file_is_quoted_as_a_shell_needs_it() -> None:
    assert "export CA='/my data/ca.pem'\n" in banner_for("https://127.0.0.1", "/my data/ca.pem")


@pytest.mark.parametrize(
    ("tls_url", "connect_to"),
    [
        ("https://127.0.0.1", "::127.0.0.1:443"),
        ("https://127.0.0.1:8443", "::127.0.0.1:8443"),
        ("https://[::1]:8443", "::[::1]:8443"),
    ],
)
def test_the_first_command_needs_no_hosts_file(tls_url: str, connect_to: str) -> None:
    assert (
        f'curl --cacert "$CA" --connect-to {connect_to} -u "$API_KEY:$AUTH_TOKEN"'
        " https://supersim.twilio.com/v1/Sims\n"
    ) in banner_for(tls_url)


def test_at_the_usual_port_there_is_nothing_to_say_about_it() -> None:
    assert "iptables" not in banner_for("https://127.0.0.1")


@pytest.mark.parametrize(
    ("tls_url", "command"),
    [
        ("https://127.0.0.1:8443", "sudo iptables -t nat -A OUTPUT -d 127.0.0.1 -p tcp"),
        ("https://[::1]:8443", "sudo ip6tables -t nat -A OUTPUT -d ::1 -p tcp"),
    ],
)
def test_at_another_port_it_is_said_how_the_usual_one_leads_there(
    tls_url: str, command: str
) -> None:
    shown = banner_for(tls_url)
    assert "this is 8443, not 443" in shown
    assert f"{command} --dport 443 -j REDIRECT --to-ports 8443\n" in shown
