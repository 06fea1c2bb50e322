"""The notice's own walkthrough, with the command that its readers start."""

from pathlib import Path

import pytest

from tests.receivers import RecordingReceiver
from tests.served import Answered, Served, served

ACCOUNT = "AC3ba717b1d236e6c4a835e46130267eb4"
SIM = "HSab3f06be8f5d32caecb91e8a306c6c08"
FAST = ("--update-takes", "10ms")


def names_of(headers: tuple[str, ...]) -> list[str]:
    return [header.partition(":")[0] for header in headers]


async def as_curl_sends_it(dev: Served, url: str, status: str) -> Answered:
    # curl's -d sends its text unchanged: the URL's own ?, = and # are not escaped.
    body = f"CallbackUrl={url}&CallbackMethod=POST&Status={status}"
    return await dev.call("POST", f"/v1/Sims/{SIM}", body=body.encode())


async def test_the_two_commands_of_the_notice_give_its_two_requests(tmp_path: Path) -> None:
    async with RecordingReceiver() as receiver, served(tmp_path, *FAST) as dev:
        url = receiver.url("/path?foo=bar")
        answered = await as_curl_sends_it(dev, url, "inactive")
        assert (answered.status, answered.body["status"]) == (202, "scheduled")
        await receiver.wait_for(1)
        assert (await dev.get(f"/v1/Sims/{SIM}")).body["status"] == "inactive"

        await as_curl_sends_it(dev, f"{url}#cbs=kore", "active")
        first, second = await receiver.wait_for(2)

    assert first.line == second.line == "POST /path?foo=bar HTTP/1.1"
    payload = (
        f"ApiVersion=v1&SimUniqueName=my_super_sim&SimSid={SIM}&SimStatus={{}}&AccountSid={ACCOUNT}"
    )
    assert first.body.decode() == payload.format("inactive")
    assert second.body.decode() == payload.format("active")
    assert names_of(first.headers) == [
        "Host",
        "User-Agent",
        "Content-Length",
        "Accept",
        "Content-Type",
        "I-Twilio-Idempotency-Token",
        "X-Home-Region",
        "X-Twilio-Signature",
        "Accept-Encoding",
    ]
    assert names_of(second.headers) == [
        "Host",
        "User-Agent",
        "Content-Length",
        "Accept",
        "Accept-Encoding",
        "Content-Type",
        "Date",
        "Kore-Idempotency-Token",
        "Kore-Signature",
    ]


async def test_the_record_says_which_source_sent_what_and_why(tmp_path: Path) -> None:
    async with RecordingReceiver() as receiver, served(tmp_path) as dev:
        await dev.post(dev.sim_path, Status="active", CallbackUrl=receiver.url("/a#cbs=kore"))
        await receiver.wait_for(1)
        callback = await dev.settled()
        (attempt,) = await dev.attempts(callback)

    assert callback["status"] == "delivered"
    assert callback["source"] == callback["source_asked"] == "kore"
    assert callback["source_reason"] == "the URL asks for it: #cbs=kore"
    assert attempt["result"] == "delivered"
    assert attempt["request"]["url"] == receiver.url("/a")
    assert attempt["response"]["status"] == 200
    assert attempt["duration_ms"] > 0


async def test_in_phase_between_kore_is_the_default_and_twilio_can_be_chosen(
    tmp_path: Path,
) -> None:
    async with RecordingReceiver() as receiver, served(tmp_path, "--phase", "between") as dev:
        await dev.post(dev.sim_path, Status="active", CallbackUrl=receiver.url("/a"))
        await receiver.wait_for(1)
        await dev.post(dev.sim_path, Status="active", CallbackUrl=receiver.url("/b#cbs=twilio"))
        first, second = await receiver.wait_for(2)

    assert "User-Agent: KoreProxy/1.1" in first.headers
    assert "User-Agent: TwilioProxy/1.1" in second.headers


async def test_in_phase_after_twilio_can_be_chosen_but_has_ended(tmp_path: Path) -> None:
    async with RecordingReceiver() as receiver, served(tmp_path, "--phase", "after") as dev:
        answered = await dev.post(
            dev.sim_path, Status="active", CallbackUrl=receiver.url("/a#cbs=twilio")
        )
        await receiver.wait_for(1)
        callback = await dev.settled()

    assert answered.status == 200
    assert "User-Agent: KoreProxy/1.1" in receiver.requests[0].headers
    assert callback["source_asked"] == "twilio"
    assert callback["source"] == "kore"
    assert callback["source_reason"] == "the URL asks for twilio, but twilio ended on 2024-11-02"


async def test_a_date_chooses_the_phase_that_it_falls_into(tmp_path: Path) -> None:
    async with RecordingReceiver() as receiver, served(tmp_path, "--at", "2024-10-20") as dev:
        await dev.post(dev.sim_path, Status="active", CallbackUrl=receiver.url("/a"))
        await receiver.wait_for(1)
        callback = await dev.settled()

    assert dev.dev["phase"] == "between"
    assert callback["source_reason"] == "the default in phase `between`, since 2024-10-16"


async def test_a_receiver_that_says_503_once_gets_the_same_token_again(tmp_path: Path) -> None:
    refusal = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
    async with RecordingReceiver(refusal) as receiver, served(tmp_path) as dev:
        await dev.post(dev.sim_path, Status="active", CallbackUrl=receiver.url("/a#cbs=kore"))
        first, second = await receiver.wait_for(2)
        callback = await dev.settled()
        attempts = await dev.attempts(callback)

    token = f"Kore-Idempotency-Token: {callback['idempotency_token']}"
    assert token in first.headers
    assert token in second.headers
    assert first.body == second.body
    assert [attempt["status_code"] for attempt in attempts] == [503, 200]
    assert [attempt["error_code"] for attempt in attempts] == [11217, None]


async def test_credentials_of_a_url_reach_its_receiver_but_no_record(tmp_path: Path) -> None:
    async with RecordingReceiver() as receiver, served(tmp_path) as dev:
        url = receiver.url("/a").replace("//", "//user:pa%20ss@")
        await dev.post(dev.sim_path, Status="active", CallbackUrl=url)
        (request,) = await receiver.wait_for(1)
        callback = await dev.settled()
        attempts = await dev.attempts(callback)

    assert "Authorization: Basic dXNlcjpwYSBzcw==" in request.headers
    assert callback["url"] == receiver.url("/a")
    assert "dXNlcjpwYSBzcw==" not in str((callback, attempts))


async def test_a_callback_to_a_private_address_is_refused_by_the_guard(tmp_path: Path) -> None:
    async with RecordingReceiver() as receiver, served(tmp_path, "--allow", "none") as dev:
        await dev.post(dev.sim_path, Status="active", CallbackUrl=receiver.url("/a"))
        callback = await dev.settled()
        (attempt,) = await dev.attempts(callback)

    assert receiver.connections == 0
    assert callback["status"] == "failed"
    assert attempt["failure"] == "guard"
    assert "127.0.0.1 is not a public address" in attempt["reason"]


async def test_the_static_proxy_header_is_sent_if_the_account_has_one(tmp_path: Path) -> None:
    async with RecordingReceiver() as receiver, served(tmp_path, "--static-proxy", "yes") as dev:
        await dev.post(dev.sim_path, Status="active", CallbackUrl=receiver.url("/a"))
        (request,) = await receiver.wait_for(1)

    assert "X-Use-Static-Proxy: true" in request.headers


@pytest.mark.parametrize("api", ["", "/supersim"])
async def test_the_vendors_own_sample_registers_its_sim(tmp_path: Path, api: str) -> None:
    async with served(tmp_path, *FAST) as dev:
        sample = {"Iccid": "89883070000123456789", "RegistrationCode": "H3LL0W0RLD"}
        made = await dev.post(f"{api}/v1/Sims", **sample)
        assert (made.status, made.body["status"]) == (201, "new")
        assert made.body["iccid"] == sample["Iccid"]
        assert [sim["sid"] for sim in (await dev.get("/v1/Sims")).body["sims"]] == [
            made.body["sid"],
            SIM,
        ]
