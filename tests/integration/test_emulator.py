"""The emulator in the tests of an application."""

import socket
from base64 import b64decode, b64encode
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlencode

import pytest
from twilio.request_validator import RequestValidator
from twilio.rest import Client

from ringback.core.errors import ConfigurationError, InvalidParameter
from ringback.testing import Emulator

START = datetime(2024, 10, 14, 12, tzinfo=UTC)


def call(emulator: Emulator, method: str, path: str, **form: str) -> tuple[int, dict[str, Any]]:
    """Send one API request, as an application would."""
    import json

    pair = f"{emulator.account_sid}:{emulator.auth_token}".encode()
    connection = HTTPConnection(emulator.base_url.removeprefix("http://"), timeout=10)
    headers = {
        "Authorization": f"Basic {b64encode(pair).decode()}",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    connection.request(method, path, urlencode(form), headers)
    answer = connection.getresponse()
    body = json.loads(answer.read())
    connection.close()
    return answer.status, body


def update(emulator: Emulator, **form: str) -> tuple[int, dict[str, Any]]:
    return call(emulator, "POST", f"/v1/Sims/{emulator.sim_sid}", **form)


# ---- the fixture ---------------------------------------------------------------------------------


def test_a_change_of_a_sim_is_called_back(emulator: Emulator) -> None:
    status, _ = update(emulator, Status="inactive", CallbackUrl=emulator.receiver.url("/hook"))
    assert status == 202
    callback = emulator.expect_callback(SimStatus="inactive", source="twilio")
    assert callback.parameters["SimSid"] == emulator.sim_sid
    assert [request.target for request in emulator.receiver.requests] == ["/hook"]
    assert len(callback.attempts) == 1


def test_each_test_begins_with_a_new_state(emulator: Emulator) -> None:
    assert emulator.callbacks() == []
    assert emulator.receiver.requests == []
    _, sim = call(emulator, "GET", f"/v1/Sims/{emulator.sim_sid}")
    assert sim["status"] == "active"


def test_the_official_client_needs_only_its_base_url(emulator: Emulator) -> None:
    client = Client(emulator.account_sid, emulator.auth_token)
    client.supersim.base_url = emulator.base_url
    url = emulator.receiver.url("/hook?tenant=7")
    client.supersim.v1.sms_commands.create(sim="my_super_sim", payload="ping", callback_url=url)
    emulator.expect_callback(Status="sent", Payload="ping")
    emulator.expect_callback(Status="delivered", Payload="ping")
    request = emulator.receiver.requests[0]
    assert RequestValidator(emulator.auth_token).validate(
        url, dict(request.parameters), request.values("X-Twilio-Signature")[0]
    )


def test_the_official_client_needs_only_the_base_url_of_wireless(emulator: Emulator) -> None:
    client = Client(emulator.account_sid, emulator.auth_token)
    client.wireless.base_url = emulator.wireless_base_url
    url = emulator.receiver.url("/hook?tenant=7")
    (sim,) = client.wireless.v1.sims.list()
    assert (sim.sid, sim.status) == (emulator.wireless_sim_sid, "active")
    client.wireless.v1.commands.create(sim=sim.sid, command="ping", callback_url=url)
    emulator.expect_callback(
        CommandStatus="delivered", Command="ping", SimSid=emulator.wireless_sim_sid
    )
    (request,) = emulator.receiver.requests
    assert RequestValidator(emulator.auth_token).validate(
        url, dict(request.parameters), request.values("X-Twilio-Signature")[0]
    )


# ---- expecting -----------------------------------------------------------------------------------


def test_a_callback_is_expected_once(emulator: Emulator) -> None:
    update(emulator, Status="active", CallbackUrl=emulator.receiver.url())
    emulator.expect_callback(SimStatus="active")
    with pytest.raises(AssertionError, match="no callback like this came within 0 s"):
        emulator.expect_callback(SimStatus="active", within=0)


def test_a_missing_callback_is_reported_with_the_list_of_all(emulator: Emulator) -> None:
    update(emulator, Status="active", CallbackUrl=emulator.receiver.url("/hook", cbs="kore"))
    emulator.callbacks()
    with pytest.raises(AssertionError) as missed:
        emulator.expect_callback(SimStatus="inactive", source="kore", within=0)
    assert "status delivered, SimStatus='inactive', source kore" in str(missed.value)
    assert f"delivered from kore: POST {emulator.receiver.url('/hook', cbs='kore')}" in str(
        missed.value
    )


def test_an_unexpected_callback_is_reported(emulator: Emulator) -> None:
    emulator.expect_no_callback()
    update(emulator, Status="active", CallbackUrl=emulator.receiver.url())
    with pytest.raises(AssertionError, match="unexpected callbacks:\n  delivered"):
        emulator.expect_no_callback()
    emulator.expect_callback()
    emulator.expect_no_callback()


@pytest.mark.parametrize("url", ["/hook", "/hook#cbs=kore"])
def test_a_url_is_expected_with_or_without_its_fragment(emulator: Emulator, url: str) -> None:
    update(emulator, Status="active", CallbackUrl=emulator.receiver.url("/hook#cbs=kore"))
    emulator.expect_callback(url=emulator.receiver.url(url))


def test_a_failed_callback_says_why(emulator: Emulator) -> None:
    emulator.receiver.fail(503, times=2)
    update(emulator, Status="active", CallbackUrl=emulator.receiver.url(cbs="kore"))
    callback = emulator.expect_callback(status="failed")
    assert [attempt.status_code for attempt in callback.attempts] == [503, 503]
    assert "503" in str(callback)


# ---- time, devices, scenarios --------------------------------------------------------------------


def test_time_stands_still_until_it_is_advanced() -> None:
    with Emulator(start=START) as emulator:
        assert emulator.now == START
        assert emulator.advance("3d") == START + timedelta(days=3) == emulator.now
        assert emulator.advance(timedelta(hours=1)) == START + timedelta(days=3, hours=1)


def test_retries_come_due_when_time_passes() -> None:
    with Emulator(settings={"schedule": "5s,1h"}) as emulator:
        emulator.receiver.fail(503, times=4)
        update(emulator, Status="active", CallbackUrl=emulator.receiver.url(cbs="kore"))
        assert emulator.callbacks()[0].status == "scheduled"
        emulator.advance("2h")
        callback = emulator.expect_callback()
        assert [attempt.status_code for attempt in callback.attempts] == [503] * 4 + [200]


def test_the_phases_of_the_transition_pass() -> None:
    with Emulator(settings={"at": "2024-10-14"}) as emulator:
        for source in ("twilio", "kore"):
            update(emulator, Status="active", CallbackUrl=emulator.receiver.url())
            assert emulator.expect_callback().source == source
            emulator.advance("3d")


def test_a_device_sends_messages_to_its_fleets_callback_url(emulator: Emulator) -> None:
    urls = {name: emulator.receiver.url(f"/{name}") for name in ("sms", "ip")}
    form = {"SmsCommandsUrl": urls["sms"], "IpCommandsUrl": urls["ip"]}
    call(emulator, "POST", "/v1/Fleets/my_fleet", **form)
    emulator.device().send_sms("24.5 degrees")
    emulator.device("my_super_sim").send_datagram(b"\x00\xff", port=5000)
    assert emulator.expect_callback(url=urls["sms"]).parameters["Payload"] == "24.5 degrees"
    datagram = emulator.expect_callback(url=urls["ip"]).parameters
    assert (b64decode(datagram["Payload"]), datagram["DevicePort"]) == (b"\x00\xff", "5000")


def test_a_device_program_sends_real_datagrams_to_the_gateway() -> None:
    with (
        Emulator(settings={"gateway": "127.0.0.1:0"}) as emulator,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as device,
    ):
        url = emulator.receiver.url("/ip")
        call(emulator, "POST", "/v1/Fleets/my_fleet", IpCommandsUrl=url)
        device.bind(("127.0.0.1", 0))
        assert emulator.gateway is not None
        device.sendto(b"reading", emulator.gateway)
        assert b64decode(emulator.expect_callback(url=url).parameters["Payload"]) == b"reading"


def test_there_is_no_gateway_by_default(emulator: Emulator) -> None:
    assert emulator.gateway is None


def test_an_impossible_action_of_a_device_is_refused(emulator: Emulator) -> None:
    update(emulator, Status="inactive")
    emulator.callbacks()
    with pytest.raises(InvalidParameter, match="can send while it is ready or active"):
        emulator.device().send_sms("hello")


def test_the_messages_of_a_device_are_listed_newest_first(emulator: Emulator) -> None:
    for text in ("first", "second"):
        call(emulator, "POST", "/v1/SmsCommands", Sim=emulator.sim_sid, Payload=text)
        call(
            emulator,
            "POST",
            "/wireless/v1/Commands",
            Sim=emulator.wireless_sim_sid,
            Command=f"{text} command",
        )
        emulator.callbacks()
    assert emulator.device().messages() == [b"second", b"first"]
    device = emulator.device(emulator.wireless_sim_sid)
    assert device.messages() == [b"second command", b"first command"]


def test_a_device_has_no_messages_at_first(emulator: Emulator) -> None:
    assert emulator.device().messages() == []
    assert emulator.device("my_wireless_sim").messages() == []
    emulator.scenario("sms-fails", sim=emulator.wireless_sim_sid)
    form = {"Sim": emulator.wireless_sim_sid, "Command": "never"}
    call(emulator, "POST", "/wireless/v1/Commands", **form)
    assert emulator.device("my_wireless_sim").messages() == []


def test_a_wireless_device_sends_messages_to_its_sims_callback_url(emulator: Emulator) -> None:
    url = emulator.receiver.url("/commands")
    path = f"/wireless/v1/Sims/{emulator.wireless_sim_sid}"
    call(emulator, "POST", path, CommandsCallbackUrl=url)
    device = emulator.device(emulator.wireless_sim_sid)
    sent = [device.send_command("24.5 degrees"), device.send_command(b"\x00\xff")]
    text = emulator.expect_callback(url=url, CommandSid=sent[0].sid).parameters
    binary = emulator.expect_callback(url=url, CommandSid=sent[1].sid).parameters
    assert (text["Command"], text["CommandMode"]) == ("24.5 degrees", "text")
    assert (b64decode(binary["Command"]), binary["CommandMode"]) == (b"\x00\xff", "binary")


def test_a_device_cannot_use_features_of_the_other_product(emulator: Emulator) -> None:
    with pytest.raises(
        InvalidParameter, match="is a Super SIM, whose devices send only SMS and IP Commands"
    ):
        emulator.device().send_command("hello")
    device = emulator.device(emulator.wireless_sim_sid)
    for send in (lambda: device.send_sms("hello"), lambda: device.send_datagram(b"hello")):
        with pytest.raises(
            InvalidParameter, match="is a Programmable Wireless SIM, whose devices send"
        ):
            send()


def test_a_wireless_device_uses_data(emulator: Emulator) -> None:
    emulator.device("my_wireless_sim").use_data(upload=200_000, download=100_000)
    _, usage = call(emulator, "GET", "/wireless/v1/UsageRecords")
    assert usage["usage_records"][0]["data"]["total"] == 300_000


def test_a_wireless_sim_can_be_registered(emulator: Emulator) -> None:
    sids = [
        emulator.register_wireless_sim(),
        emulator.register_wireless_sim(iccid="8901340852295524703"),
        emulator.register_wireless_sim(narrowband=True),
    ]
    sims = [call(emulator, "GET", f"/wireless/v1/Sims/{sid}")[1] for sid in sids]
    assert {sim["status"] for sim in sims} == {"new"}
    assert sims[1]["iccid"] == "8901340852295524703"
    assert len({sim["iccid"] for sim in sims}) == 3
    for sid, transport in zip(sids[1:], ("sms", "ip"), strict=True):
        form = {"Status": "active", "RatePlan": "my_rate_plan"}
        call(emulator, "POST", f"/wireless/v1/Sims/{sid}", **form)
        emulator.callbacks()
        _, command = call(emulator, "POST", "/wireless/v1/Commands", Sim=sid, Command="hi")
        assert command["transport"] == transport


def test_a_sim_card_that_is_already_registered_is_refused(emulator: Emulator) -> None:
    emulator.register_wireless_sim(iccid="8901340852295524703")
    with pytest.raises(InvalidParameter, match="8901340852295524703 is registered already"):
        emulator.register_wireless_sim(iccid="8901340852295524703")


def test_a_device_uses_data_and_downloads_profiles(emulator: Emulator) -> None:
    emulator.device().use_data(upload=200_000, download=100_000)
    _, usage = call(emulator, "GET", "/v1/UsageRecords")
    assert usage["usage_records"][0]["data_total_billed"] == "0.03"
    url = emulator.receiver.url("/esim")
    order = {"GenerateMatchingId": "true", "CallbackUrl": url}
    _, profile = call(emulator, "POST", "/v1/ESimProfiles", **order)
    emulator.expect_callback(url=url, Status="available")
    emulator.device().download_profile(profile["sid"])
    emulator.expect_callback(url=url, Status="downloaded")


def test_a_scenario_makes_an_update_fail(emulator: Emulator) -> None:
    emulator.scenario("update-fails", sim="my_super_sim")
    update(emulator, Status="inactive", CallbackUrl=emulator.receiver.url())
    emulator.expect_callback(SimStatus="active", ErrorCode="83004")


def test_a_scenario_can_be_for_a_wireless_sim(emulator: Emulator) -> None:
    emulator.scenario("update-fails", sim="my_wireless_sim")
    path = f"/wireless/v1/Sims/{emulator.wireless_sim_sid}"
    call(emulator, "POST", path, Status="suspended", CallbackUrl=emulator.receiver.url())
    emulator.expect_callback(SimStatus="active", ErrorCode="33000")
    update(emulator, Status="inactive", CallbackUrl=emulator.receiver.url())
    emulator.expect_callback(SimStatus="inactive")


def test_an_unknown_scenario_is_refused(emulator: Emulator) -> None:
    with pytest.raises(ValueError, match="there is no scenario 'rain'; the scenarios are normal, "):
        emulator.scenario("rain")


# ---- its life ------------------------------------------------------------------------------------


def test_a_reset_keeps_address_and_secrets() -> None:
    with Emulator() as emulator:
        kept = (emulator.base_url, emulator.auth_token, emulator.kore_secret, emulator.api_key)
        update(emulator, Status="active", CallbackUrl=emulator.receiver.url())
        emulator.reset()
        now = (emulator.base_url, emulator.auth_token, emulator.kore_secret, emulator.api_key)
        assert (kept, emulator.callbacks()) == (now, [])


def test_the_same_seed_gives_the_same_sids() -> None:
    def first_sid(seed: int) -> str:
        with Emulator(seed=seed, start=START) as emulator:
            form = {"Sim": emulator.sim_sid, "Payload": "hello"}
            return call(emulator, "POST", "/v1/SmsCommands", **form)[1]["sid"]

    assert first_sid(1) == first_sid(1) != first_sid(2)


def test_two_emulators_know_nothing_of_each_other() -> None:
    with Emulator() as one, Emulator(seed=1) as other:
        update(one, Status="active", CallbackUrl=one.receiver.url())
        one.expect_callback()
        assert one.base_url != other.base_url
        assert other.callbacks() == []


def test_unusable_settings_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="--phase: there is no phase 'never'"):
        Emulator(settings={"phase": "never"}).start()


def test_an_emulator_that_is_not_started_says_so() -> None:
    with pytest.raises(RuntimeError, match="not started"):
        _ = Emulator().base_url


def test_it_can_be_stopped_twice() -> None:
    emulator = Emulator().start()
    assert emulator.start() is emulator
    emulator.stop()
    emulator.stop()
