"""What `ringback dev` prints when it is up: warnings, the walkthrough, and how to use HTTPS."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ringback.cli.dev.banner import banner, tls_banner
from ringback.core.policy.source_policy import NOTICE, Phase
from ringback.dev_environment.dev_file import NETWORK, DevServerDetails
from ringback.ports import SendingPause
from ringback.settings.load import load


def shown_at(
    base_url: str, phase: Phase = NOTICE.phases[0], pause: SendingPause | None = None, **more: str
) -> str:
    dev = DevServerDetails(base_url, *(["x"] * 9), **more)
    return banner(dev, load({}, {}), phase, ahead=timedelta(0), pause=pause)


def test_who_opens_it_to_the_network_is_warned_before_the_credentials() -> None:
    shown = shown_at("http://0.0.0.0:8080", reachable_from=NETWORK)
    before, _, after = shown.partition("WARNING")
    assert "Auth Token" not in before
    assert after.startswith(
        "  http://0.0.0.0:8080 is open to the network. Every machine that can connect"
    )
    assert "To serve this machine alone, start with --host 127.0.0.1." in after


def test_on_this_machine_alone_there_is_no_warning() -> None:
    assert "WARNING" not in shown_at("http://127.0.0.1:8080")


def test_a_paused_server_says_so_before_all_else() -> None:
    pause = SendingPause(datetime(2027, 6, 1, tzinfo=UTC), "restored from a backup")
    shown = shown_at("http://127.0.0.1:8080", pause=pause)
    before, _, after = shown.partition("PAUSED   Nothing is sent until `ringback resume`: ")
    assert "Auth Token" not in before
    assert after.startswith("restored from a backup.\n")
    assert "PAUSED" not in shown_at("http://127.0.0.1:8080")


def test_the_first_thing_to_do_is_to_open_the_console() -> None:
    link = "http://127.0.0.1:8080/console/sign-in?key=0123"
    before, _, after = shown_at("http://127.0.0.1:8080", console_url=link).partition(link)
    assert before.endswith("See each callback in a browser, and why it came from where:\n\n  ")
    assert "Account SID" not in before
    assert "Account SID" in after


# ---- the walkthrough --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("phase", "first", "second", "url"),
    [
        ("before", "twilio", "The URL asks for kore, and the callback comes from there", "kore"),
        ("between", "kore", "The URL asks for twilio, and the callback comes from there", "twilio"),
        ("after", "kore", "The URL asks for twilio, but the callback comes from kore", "twilio"),
    ],
)
def test_the_steps_fit_the_phase(phase: str, first: str, second: str, url: str) -> None:
    shown = shown_at("http://127.0.0.1:8080", {one.name: one for one in NOTICE.phases}[phase])
    assert f"The callback comes from {first}:\n" in shown
    assert second in shown
    assert f"'CallbackUrl=http://127.0.0.1:9000/path?foo=bar#cbs={url}'" in shown


def test_the_program_that_is_on_the_path_need_not_be_put_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "my programs" / "ringback"
    program.parent.mkdir()
    program.touch(0o755)
    monkeypatch.setattr("sys.argv", [str(program)])
    data = f"RINGBACK_DATA={Path.cwd()}/ringback-data\n"
    line = f"  export PATH='{program.parent}':\"$PATH\" {data}"
    assert line in shown_at("http://127.0.0.1:8080")
    monkeypatch.setenv("PATH", str(program.parent))
    assert f"  export {data}" in shown_at("http://127.0.0.1:8080")


def test_an_active_virtual_environment_is_put_on_the_path_of_other_terminals(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "bin" / "ringback"
    program.parent.mkdir()
    program.touch(0o755)
    monkeypatch.setattr("sys.argv", [str(program)])
    monkeypatch.setattr("sys.prefix", str(tmp_path))
    monkeypatch.setenv("PATH", str(program.parent))
    assert f'  export PATH={program.parent}:"$PATH" ' in shown_at("http://127.0.0.1:8080")


def test_without_the_program_its_name_is_an_alias(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("sys.argv", ["__main__.py"])
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    shown = shown_at("http://127.0.0.1:8080")
    assert f"  alias ringback='{tmp_path}/python -m ringback'; export RINGBACK_DATA=" in shown


# ---- HTTPS: commands to paste, and a port that no hosts file changes -----------------------------


def banner_for(tls_url: str) -> str:
    return tls_banner(DevServerDetails(*[""] * 10, tls_url=tls_url, ca_file="/data/tls/ca.pem"))


def test_it_names_the_url_the_ca_and_the_line_of_the_hosts_file() -> None:
    lines = banner_for("https://127.0.0.1").splitlines()
    assert "5. HTTPS is at https://127.0.0.1, " in lines[1]
    assert (
        "  127.0.0.1 supersim.twilio.com wireless.twilio.com supersim.api.korewireless.com"
        " programmable-wireless.api.korewireless.com events.twilio.com events-schemas.twilio.com"
        " events-schemas.korewireless.com api.korewireless.com"
        " client.api.korewireless.com iam.api.korewireless.com webhook.api.korewireless.com"
    ) in lines


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
        f'  curl --cacert "$CA_FILE" --connect-to {connect_to} \\\n'
        '    -u "$API_KEY:$API_KEY_SECRET" "https://supersim.twilio.com/v1/Sims"\n'
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
    assert "this is port 8443" in shown
    assert f"{command} --dport 443 -j REDIRECT --to-ports 8443\n" in shown
