"""Programs that set up Twilio's streams, after public ones: each sends what it sends to Twilio.

They are a trigger node of n8n, an action of GitHub (zingdevlimited/actions-helpers), a test of
Twilio's client for Ruby, and the resources of Terraform's provider.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlencode

import pytest
import requests

from ringback.testing import Emulator
from tests.streams import ENDED, STARTED, UPDATED

_SECONDS: Final = 20


class Api:
    """The Events API, by plain HTTP."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self._session = requests.Session()
        self._session.auth = (emulator.account_sid, emulator.auth_token)

    def get(self, path: str) -> Any:
        answer = self._session.get(self._url(path), timeout=_SECONDS)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, *form: tuple[str, str]) -> Any:
        answer = self._session.post(self._url(path), data=list(form), timeout=_SECONDS)
        assert answer.status_code in (200, 201), answer.text
        return answer.json()

    def delete(self, path: str) -> tuple[int, int | None]:
        """Return the status, and the code of the error if it was refused."""
        answer = self._session.delete(self._url(path), timeout=_SECONDS)
        return answer.status_code, answer.json()["code"] if answer.content else None

    def _url(self, path: str) -> str:
        return f"{self.emulator.base_url}/v1/{path}"


@pytest.fixture
def api() -> Iterator[Api]:
    with Emulator() as emulator:
        yield Api(emulator)


def a_sink(api: Api, **configuration: object) -> Any:
    return api.post(
        "Sinks",
        ("Description", "made by a program"),
        ("SinkConfiguration", json.dumps(configuration)),
        ("SinkType", "webhook"),
    )


def subscribe(api: Api, sink: Any, *types: str) -> Any:
    return api.post(
        "Subscriptions",
        ("Description", "made by a program"),
        ("SinkSid", sink["sid"]),
        *(("Types", one) for one in types),
    )


def test_a_trigger_node_subscribes_is_called_and_clears_away(api: Api) -> None:
    url = api.emulator.receiver.url("/webhook/twilio")
    types = api.get("Types?PageSize=200")["types"]
    assert all(isinstance(one["description"], str) for one in types)
    sink = a_sink(api, destination=url, method="POST")
    subscription = subscribe(api, sink, f'{{ "type": "{STARTED}" }}')
    (found,) = [
        one for one in api.get("Sinks")["sinks"] if one["sink_configuration"]["destination"] == url
    ]
    assert found["sid"] == sink["sid"]
    (of_sink,) = [
        one for one in api.get("Subscriptions")["subscriptions"] if one["sink_sid"] == sink["sid"]
    ]
    assert of_sink["sid"] == subscription["sid"]
    path = f"Subscriptions/{subscription['sid']}/SubscribedEvents"
    assert api.get(path)["types"][0]["type"] == STARTED

    api.post(f"Sinks/{sink['sid']}/Test")
    api.emulator.advance("1s")
    (request,) = api.emulator.receiver.requests
    assert _signature_of(url, request.body, api.emulator.auth_token) in request.values(
        "X-Twilio-Signature"
    )

    assert api.delete(f"Sinks/{sink['sid']}") == (400, 91007)  # the node ignores that
    assert api.delete(f"Subscriptions/{subscription['sid']}") == (204, None)
    assert api.delete(f"Sinks/{sink['sid']}") == (204, None)


def _signature_of(url: str, body: bytes, auth_token: str) -> str:
    """Return the signature that the node expects, of the URL that it builds anew."""
    signed = f"{url}?{urlencode({'bodySHA256': hashlib.sha256(body).hexdigest()})}"
    digest = hmac.new(auth_token.encode(), signed.encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()


def test_an_action_brings_the_types_of_a_subscription_up_to_date(api: Api) -> None:
    sink = a_sink(api, destination="https://a.example/in", method="POST", batch_events=False)
    made = subscribe(
        api,
        sink,
        json.dumps({"type": STARTED, "schema_version": 1}),
        json.dumps({"type": UPDATED, "schema_version": 2}),
    )
    (found,) = api.get(f"Subscriptions?SinkSid={sink['sid']}")["subscriptions"]
    assert found["sid"] == made["sid"]
    path = f"Subscriptions/{made['sid']}/SubscribedEvents"
    versions = {one["type"]: one["schema_version"] for one in api.get(path)["types"]}
    assert versions == {STARTED: 1, UPDATED: 2}
    assert all(type(version) is int for version in versions.values())

    api.post(path, ("Type", ENDED), ("SchemaVersion", "2"))
    api.post(f"{path}/{STARTED}", ("SchemaVersion", "2"))
    assert api.delete(f"{path}/{UPDATED}") == (204, None)
    versions = {one["type"]: one["schema_version"] for one in api.get(path)["types"]}
    assert versions == {STARTED: 2, ENDED: 2}


def test_a_client_in_lower_case_with_two_types_is_served(api: Api) -> None:
    sink = a_sink(api, destination="http://example.org/webhook", method="post", batch_events=False)
    made = subscribe(api, sink, *(json.dumps({"type": one}) for one in (STARTED, ENDED)))
    assert api.delete(f"Subscriptions/{made['sid']}") == (204, None)
    assert api.delete(f"Sinks/{sink['sid']}") == (204, None)


def test_what_was_configured_is_echoed_without_a_difference(api: Api) -> None:
    given = {"destination": "https://a.example/in#x", "method": "POST", "batchEvents": True}
    sink = a_sink(api, **given)
    shown = api.get(f"Sinks/{sink['sid']}")["sink_configuration"]
    assert {name: shown[name] for name in given} == given
