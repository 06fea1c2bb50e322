"""A migration to a third source by settings alone; `standardwebhooks` verifies its requests."""

from base64 import b64encode
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

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
    Webhook(secret).verify(first.body, headers, json_parse=False)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(first.body + b"x", headers, json_parse=False)
    assert parse_qs(first.body.decode())["SimStatus"] == ["inactive"]
    # A choice that the policy no longer allows is reported, and the callback comes from the default
    # source.
    assert any(line.startswith("Kore-Signature: ") for line in second.headers)
    assert asked_for["source_reason"].startswith(
        "the URL asks for twilio, which is not available in"
    )


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
