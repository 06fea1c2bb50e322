"""A migration to a third source by settings alone; `standardwebhooks` verifies its requests."""

import json
from base64 import b64encode
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from ringback.data_folder import DataFolder
from ringback.receiver import (
    Accepted,
    Duplicate,
    MemoryDedupe,
    ReceivedRequest,
    Receiver,
    Rejected,
    read_sources,
)
from tests.receivers import ReceivedRequest as RecordedRequest
from tests.receivers import RecordingReceiver
from tests.served import served

SETTINGS = Path(__file__).parents[2] / "examples/sources/standard-webhooks.toml"


async def test_a_platform_migrates_to_standard_webhooks_without_code(tmp_path: Path) -> None:
    async with (
        RecordingReceiver() as receiver,
        served(tmp_path, "--settings", str(SETTINGS), "--update-takes", "0") as server,
    ):
        target = receiver.url("/hook")
        updates = [("inactive", "standard-webhooks"), ("active", "twilio")]
        for count, (status, asked) in enumerate(updates, 1):
            url = f"{target}#rc=0&cbs={asked}"
            await server.post(server.sim_path, Status=status, CallbackUrl=url)
            await receiver.wait_for(count)
            await server.settled()
        first, second = receiver.requests
        record, asked_for = reversed(await server.callbacks())
    assert (record["source"], record["status"]) == ("standard-webhooks", "delivered")
    headers = dict(line.split(": ", 1) for line in first.headers)
    assert record["idempotency_token"] == headers["webhook-id"]
    secret = f"whsec_{b64encode(server.dev['kore_secret'].encode()).decode()}"
    assert headers["Content-Type"] == "application/json; charset=utf-8"
    assert Webhook(secret).verify(first.body, headers) == record["parameters"]
    assert record["parameters"]["SimStatus"] == "inactive"
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(first.body + b" ", headers)
    assert parse_qs(second.body.decode())["SimStatus"] == ["active"]
    callbacks = Receiver(
        target,
        kore_secrets=[server.dev["kore_secret"]],
        sources=read_sources(SETTINGS),
        source_secrets={"standard-webhooks": [secret]},
        seen=MemoryDedupe(),
    )
    results = [callbacks.receive_request(as_received(each)) for each in (first, first, second)]
    assert [type(result) for result in results] == [Accepted, Duplicate, Accepted]
    sources = [result.callback.source for result in results if not isinstance(result, Rejected)]
    assert sources == ["standard-webhooks", "standard-webhooks", "kore"]
    # A choice that the policy no longer allows is reported, and the callback comes from the default
    # source.
    assert any(line.startswith("Kore-Signature: ") for line in second.headers)
    assert asked_for["source_reason"].startswith(
        "the URL asks for twilio, which is not available in"
    )


SHADOWS = '[[shadows]]\nsource = "{}"\nurl_prefix = "{}"\nparameter = "shadow=1"\n'


async def test_replays_copies_and_comparisons_have_the_encoding_of_their_source(
    tmp_path: Path,
) -> None:
    parameters = {"Tag": ["b", "a"], "Note": "é & {", "Empty": ""}
    form = b"Tag=b&Tag=a&Note=%C3%A9+%26+%7B&Empty="
    as_json = '{"Tag":["b","a"],"Note":"é & {","Empty":""}'.encode()
    data, settings = tmp_path / "data", tmp_path / "ringback.toml"
    async with RecordingReceiver() as receiver:
        shadows = SHADOWS.format("standard-webhooks", receiver.url("/kore"))
        settings.write_text(f"{SETTINGS.read_text()}\n{shadows}")
        async with served(data, "--settings", str(settings)) as server:

            async def send(path: str, source: str, method: str = "POST") -> dict[str, Any]:
                url = f"{receiver.url(path)}#rc=0&cbs={source}"
                body = {"url": url, "method": method, "parameters": parameters}
                sent = await server.call(
                    *("POST", "/portal/v1/callbacks"),
                    body=json.dumps(body | {"idempotency_key": path}).encode(),
                    headers={"Content-Type": "application/json"},
                )
                assert sent.status == 201, sent.body
                return sent.body

            of_kore, of_hooks = await send("/kore", "kore"), await send("/own", "standard-webhooks")
            await send("/get", "standard-webhooks", "GET")
            assert [one["parameters"] for one in (of_kore, of_hooks)] == [parameters] * 2
            # The same key is the same callback, whose parameters are shown again.
            repeated = await send("/own", "standard-webhooks")
            for name in ("sid", "body", "parameters"):
                assert repeated[name] == of_hooks[name]
            await receiver.wait_for(4)  # with the copy
            await server.settled()
            path = f"/portal/v1/callbacks/{of_hooks['sid']}"
            again = await server.post(f"{path}/replay", AsOtherSource="yes")
            assert (again.status, again.body["source"]) == (201, "twilio")
            assert again.body["parameters"] == parameters
            await receiver.wait_for(5)
            comparison = (await server.get(f"{path}/comparison", Source="kore")).body
            assert comparison["summary"].endswith(
                "; the body is JSON instead of a form, with the same parameters."
            )
            (copy,) = (await server.get("/portal/v1/shadows")).body["shadows"]
            assert copy["body"].encode() == as_json
            (attempt,) = await server.attempts(of_hooks)
            assert attempt["request"]["body"].encode() == as_json
    bodies = {request.line.split(" ")[1]: request.body for request in receiver.requests[:4]}
    assert bodies == {
        "/kore": form,
        "/kore?shadow=1": as_json,
        "/own": as_json,
        f"/get?{form.decode()}": b"",
    }
    assert receiver.requests[4].body == form
    assert all(check.is_ok for check in DataFolder(data).check())


def as_received(request: RecordedRequest) -> ReceivedRequest:
    method, path, _ = request.line.split(" ")
    pairs = (line.partition(": ") for line in request.headers)
    headers = tuple((name, value) for name, _, value in pairs)
    return ReceivedRequest(method, path, headers, request.body)


async def test_an_unknown_source_is_refused_with_the_list_of_sources(tmp_path: Path) -> None:
    async with served(tmp_path, "--settings", str(SETTINGS)) as server:
        url = "http://127.0.0.1:9/#cbs=standard"
        refused = await server.post(server.sim_path, Status="inactive", CallbackUrl=url)
        listed = await server.get("/portal/v1/callbacks", Source="standard-webhooks")
        unknown = await server.get("/portal/v1/callbacks", Source="standard")
    known = "twilio, kore"
    assert (refused.status, refused.body["code"]) == (400, 11100)
    assert refused.body["message"] == f"#cbs=standard: cbs must be {known} or standard-webhooks"
    assert (listed.status, listed.body["callbacks"]) == (200, [])
    assert unknown.status == 400
    assert "must be one of twilio, kore, standard-webhooks" in unknown.body["message"]
