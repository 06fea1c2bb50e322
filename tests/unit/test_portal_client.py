"""The client of a running Ringback: its errors, the API that it uses, and its polling."""

import time

import pytest

from ringback.portal_client import PortalClient, PortalClientError, poll
from ringback.testing import Emulator
from tests.ports import free_port


def test_an_unreachable_server_is_reported_with_its_url_and_the_reason() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(PortalClientError, match=rf"^no Ringback answers at {url} \(.*refused"):
        PortalClient(url, "AC1", "made-up").get("clock")


def test_a_refusal_has_the_servers_message() -> None:
    with Emulator() as emulator:
        portal = PortalClient(emulator.base_url, emulator.account_sid, emulator.auth_token)
        with pytest.raises(PortalClientError, match="CB1"):
            portal.get("callbacks", "CB1")


def test_the_same_client_can_call_another_api_of_the_server() -> None:
    with Emulator() as emulator:
        portal = PortalClient(emulator.base_url, emulator.account_sid, emulator.auth_token)
        assert portal.for_api("supersim/v1").get("Sims")["meta"]["key"] == "sims"
        assert portal.get("callbacks")["meta"]["key"] == "callbacks"


def test_polling_ends_with_the_first_answer_that_is_done() -> None:
    answers = iter(range(10))
    found = poll(lambda: next(answers), lambda answer: answer == 2, until=time.monotonic() + 30)
    assert found == 2
    assert next(answers) == 3


def test_polling_without_success_returns_the_last_answer() -> None:
    answers = iter(range(10))
    assert poll(lambda: next(answers), lambda _: False, until=time.monotonic()) == 0
