"""The port and the host names of the HTTPS listener."""

import socket
from dataclasses import replace
from pathlib import Path

import pytest

from ringback.api.serve_on_socket import bind
from ringback.core.errors import ConfigurationError
from ringback.dev_environment.dev_https import address_of, https_of, names_for, reserve_first
from ringback.settings.load import load
from ringback.settings.parsers import HttpsPortSetting

HOST = "127.0.0.1"


def port_of(listener: socket.socket) -> int:
    return listener.getsockname()[1]


def test_the_first_free_port_is_used() -> None:
    with bind(HOST, 0) as holder, reserve_first(HOST, (port_of(holder), 0)) as listener:
        assert port_of(listener) != port_of(holder)
    with reserve_first(HOST, (port_of_a_free(),)) as listener:
        assert listener.getsockname()[0] == HOST


def port_of_a_free() -> int:
    with bind(HOST, 0) as free:
        return port_of(free)


def test_without_a_free_port_the_error_names_the_flag() -> None:
    with bind(HOST, 0) as holder:
        port = port_of(holder)
        with pytest.raises(ConfigurationError) as refused:
            reserve_first(HOST, (port, port))
    assert str(refused.value) == (
        f"can't listen on {HOST}:{port}: Address already in use;"
        " choose another with --tls-port (or --host)"
    )


def test_a_chosen_port_is_not_replaced_by_another(tmp_path: Path) -> None:
    settings = load({"data": str(tmp_path), "tls": "yes"}, {})
    with bind(HOST, 0) as holder:
        taken = port_of(holder)
        chosen = replace(settings, tls_port=HttpsPortSetting(taken))
        with pytest.raises(ConfigurationError, match="--tls-port"), https_of(chosen):
            pass
        usual = replace(settings, tls_port=HttpsPortSetting(taken, else_other=True))
        with https_of(usual) as https:
            assert https is not None
            assert https.url.startswith("https://127.0.0.1:")
            assert port_of(https.listener) != taken


def test_without_the_flag_there_is_no_listener_and_no_ca(tmp_path: Path) -> None:
    with https_of(load({"data": str(tmp_path)}, {})) as https:
        assert https is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("host", "address"),
    [("127.0.0.1", "127.0.0.1"), ("localhost", "127.0.0.1"), ("0.0.0.0", "127.0.0.1")],
)
def test_it_is_reached_at_an_address_of_this_machine(host: str, address: str) -> None:
    with bind(host, 0) as listener:
        assert address_of(listener) == address


def test_its_certificate_is_valid_for_the_vendors_names_and_this_machines() -> None:
    assert names_for("127.0.0.1") == [
        "supersim.twilio.com",
        "wireless.twilio.com",
        "supersim.api.korewireless.com",
        "programmable-wireless.api.korewireless.com",
        "events.twilio.com",
        "events-schemas.twilio.com",
        "events-schemas.korewireless.com",
        "api.korewireless.com",
        "client.api.korewireless.com",
        "iam.api.korewireless.com",
        "webhook.api.korewireless.com",
        "accounts.twilio.com",
        "api.twilio.com",
        "localhost",
        "supersim.localhost",
        "wireless.localhost",
        "programmable-wireless.localhost",
        "webhook.localhost",
        "client.localhost",
        "iam.localhost",
        "events.localhost",
        "127.0.0.1",
        "::1",
    ]


def test_its_certificate_is_valid_for_another_address_that_it_listens_on() -> None:
    assert names_for("192.0.2.7")[-1] == "192.0.2.7"
