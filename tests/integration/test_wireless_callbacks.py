"""The callbacks of Programmable Wireless, above all those that come twice.

The clock is the emulator's, the sockets are real, and each request is verified as receivers do.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Final, NamedTuple

import pytest
from twilio.rest import Client
from twilio.rest.wireless.v1.sim import SimContext

from ringback.receiver.verification import ReceivedRequest, ReceiverSecrets, Verified, check
from ringback.testing import Emulator

START: Final = datetime(2024, 7, 3, 14, 40, 58, tzinfo=UTC)
IN_THREE_MONTHS: Final = datetime(2024, 10, 3, 14, 40, 58, tzinfo=UTC)
SECOND: Final = timedelta(seconds=1)
PLAN: Final = "my_rate_plan"


class Way(NamedTuple):
    """The source that callbacks should come from, and how that is chosen."""

    source: str
    method: str


class Bench:
    """An emulator with a new SIM, whose updates are called back from one source."""

    def __init__(self, emulator: Emulator, way: Way) -> None:
        self.emulator = emulator
        self.way = way
        self.sid = emulator.register_wireless_sim()
        self.client = Client(emulator.account_sid, emulator.auth_token)
        self.client.wireless.base_url = emulator.wireless_base_url
        self._seen = 0

    @property
    def sim(self) -> SimContext:
        return self.client.wireless.v1.sims(self.sid)

    def url(self, path: str = "/sim?tenant=7") -> str:
        return self.emulator.receiver.url(path, cbs=self.way.source)

    def url_of(self, request: ReceivedRequest) -> str:
        """Return the URL that a request was made to."""
        return self.emulator.receiver.url(request.target)

    def becomes(self, status: str) -> None:
        """Set the SIM's status, with a rate plan, without a callback."""
        self.sim.update(status=status, rate_plan=PLAN)
        self.emulator.callbacks()
        assert self.status() == status

    def is_asked_to_become(self, status: str, path: str = "/sim?tenant=7") -> None:
        self.sim.update(
            status=status,
            rate_plan=PLAN,
            callback_url=self.url(path),
            callback_method=self.way.method,
        )
        self.emulator.callbacks()

    def status(self) -> str:
        return str(self.sim.fetch().status)

    def arrived(self) -> list[str]:
        """Return the statuses called back since the last call of this method."""
        told = self.told()
        for one in told:
            assert list(one) == ["ApiVersion", "SimSid", "SimStatus", "AccountSid"]
            assert one["SimSid"] == self.sid
        return [one["SimStatus"] for one in told]

    def told(self) -> list[dict[str, str]]:
        """Return the callbacks since the last call of this method, after verifying them."""
        callbacks = self.emulator.callbacks()[self._seen :]
        requests = self.emulator.receiver.requests[self._seen :]
        self._seen += len(callbacks)
        secrets = ReceiverSecrets((self.emulator.auth_token,), (self.emulator.kore_secret,))
        for callback, request in zip(callbacks, requests, strict=True):
            verdict = check(request, urls=[self.url_of(request)], secrets=secrets)
            assert isinstance(verdict, Verified)
            assert verdict.token == callback.idempotency_token
            assert (verdict.source, request.method) == self.way
        return [
            {name: value for name, value in request.parameters if name != "tenant"}
            for request in requests
        ]


WAYS: Final = [Way(*way) for way in product(("twilio", "kore"), ("POST", "GET"))]


@pytest.fixture(scope="module")
def running() -> Iterator[Emulator]:
    with Emulator(start=START) as emulator:
        yield emulator


@pytest.fixture(params=WAYS, ids="-".join)
def bench(running: Emulator, request: pytest.FixtureRequest) -> Bench:
    running.reset()
    return Bench(running, request.param)


# ---- new, ready, active --------------------------------------------------------------------------


def test_a_sim_is_called_back_as_ready_and_after_250_kb_as_active(bench: Bench) -> None:
    bench.is_asked_to_become("ready")
    assert bench.arrived() == ["ready"]
    device = bench.emulator.device(bench.sid)
    device.use_data(upload=200_000, download=49_999)
    bench.emulator.advance("30d")
    assert bench.arrived() == []
    device.use_data(download=1)
    assert bench.arrived() == ["active"]
    assert bench.status() == "active"


def test_a_sim_is_called_back_as_ready_and_after_five_commands_as_active(bench: Bench) -> None:
    bench.is_asked_to_become("ready")
    assert bench.arrived() == ["ready"]
    for _ in range(4):
        bench.client.wireless.v1.commands.create(sim=bench.sid, command="wake up")
    bench.emulator.advance("30d")
    assert bench.arrived() == []
    bench.client.wireless.v1.commands.create(sim=bench.sid, command="wake up")
    assert bench.arrived() == ["active"]
    assert bench.status() == "active"


def test_a_sim_is_called_back_as_ready_and_after_three_months_as_active(bench: Bench) -> None:
    bench.is_asked_to_become("ready")
    assert bench.arrived() == ["ready"]
    bench.emulator.advance(IN_THREE_MONTHS - START - SECOND)
    assert bench.arrived() == []
    bench.emulator.advance(SECOND)
    assert bench.arrived() == ["active"]
    assert bench.status() == "active"


# ---- deactivated, canceled -----------------------------------------------------------------------


@pytest.mark.parametrize("before", ["new", "ready", "active", "suspended"])
def test_a_sim_is_called_back_as_deactivated_and_after_72_hours_as_canceled(
    bench: Bench, before: str
) -> None:
    for status in {"new": [], "suspended": ["active", "suspended"]}.get(before, [before]):
        bench.becomes(status)
    bench.emulator.advance("1h")
    bench.is_asked_to_become("deactivated")
    assert bench.arrived() == ["deactivated"]
    bench.emulator.advance(timedelta(hours=72) - SECOND)
    assert bench.arrived() == []
    assert bench.status() == "deactivated"
    bench.emulator.advance(SECOND)
    assert bench.arrived() == ["canceled"]
    assert bench.status() == "canceled"
    bench.emulator.advance("200d")
    assert bench.arrived() == []


def test_the_72_hours_begin_when_the_network_has_deactivated_the_sim(bench: Bench) -> None:
    bench.becomes("active")
    bench.emulator.scenario("operator-busy", sim=bench.sid)
    bench.is_asked_to_become("deactivated")
    assert bench.arrived() == []
    assert bench.status() == "scheduled"
    bench.emulator.advance("1h")
    assert bench.arrived() == ["deactivated"]
    bench.emulator.advance(timedelta(hours=72) - SECOND)
    assert bench.arrived() == []
    bench.emulator.advance(SECOND)
    assert bench.arrived() == ["canceled"]


# ---- receivers, and other callbacks --------------------------------------------------------------


def test_both_callbacks_go_to_the_same_receiver_with_tokens_of_their_own(bench: Bench) -> None:
    bench.is_asked_to_become("deactivated", "/first?tenant=8")
    bench.emulator.advance("72h")
    assert bench.arrived() == ["deactivated", "canceled"]
    first, second = bench.emulator.callbacks()
    assert first.url == second.url == bench.url("/first?tenant=8")
    assert first.idempotency_token != second.idempotency_token


def test_the_second_callback_goes_to_the_receiver_of_the_first(bench: Bench) -> None:
    bench.is_asked_to_become("ready", "/first")
    bench.sim.update(
        rate_plan=another_plan(bench),
        callback_url=bench.url("/second"),
        callback_method=bench.way.method,
    )
    bench.emulator.callbacks()
    bench.emulator.device(bench.sid).use_data(upload=250_000)
    assert bench.arrived() == ["ready", "ready", "active"]
    assert [callback.url for callback in bench.emulator.callbacks()] == [
        bench.url("/first"),
        bench.url("/second"),
        bench.url("/first"),
    ]


def another_plan(bench: Bench) -> str:
    return str(bench.client.wireless.v1.rate_plans.create(unique_name="another").unique_name)


def test_a_reactivated_sim_is_called_back_and_never_canceled(bench: Bench) -> None:
    bench.is_asked_to_become("deactivated")
    bench.emulator.advance("71h")
    bench.is_asked_to_become("active")
    assert bench.arrived() == ["deactivated", "active"]
    bench.emulator.advance("30d")
    assert bench.arrived() == []
    assert bench.status() == "active"


def test_a_sim_that_is_deactivated_again_has_72_hours_again(bench: Bench) -> None:
    bench.is_asked_to_become("deactivated")
    bench.emulator.advance("71h")
    bench.is_asked_to_become("active")
    bench.is_asked_to_become("deactivated")
    bench.emulator.advance("71h")
    assert bench.arrived() == ["deactivated", "active", "deactivated"]
    bench.emulator.advance("1h")
    assert bench.arrived() == ["canceled"]


def test_a_sim_suspended_while_ready_is_never_called_back_as_active(bench: Bench) -> None:
    bench.is_asked_to_become("ready")
    bench.is_asked_to_become("suspended")
    bench.emulator.advance("100d")
    assert bench.arrived() == ["ready", "suspended"]
    assert bench.status() == "suspended"


def test_a_sim_set_to_active_directly_is_called_back_once(bench: Bench) -> None:
    bench.is_asked_to_become("active")
    bench.emulator.device(bench.sid).use_data(upload=250_000)
    bench.emulator.advance("100d")
    assert bench.arrived() == ["active"]


def test_a_failed_change_is_called_back_once_with_its_reason_and_nothing_follows(
    bench: Bench,
) -> None:
    bench.emulator.scenario("update-fails", sim=bench.sid)
    bench.is_asked_to_become("ready")
    (callback,) = bench.emulator.callbacks()
    assert callback.parameters["SimStatus"] == "new"
    assert callback.parameters["ErrorCode"] == "33000"
    bench.emulator.advance("100d")
    assert len(bench.emulator.receiver.requests) == 1
    assert bench.status() == "new"


def test_without_a_callback_url_there_is_no_callback(bench: Bench) -> None:
    bench.becomes("ready")
    bench.emulator.advance("100d")
    bench.becomes("deactivated")
    bench.emulator.advance("72h")
    assert bench.status() == "canceled"
    assert bench.arrived() == []


def test_a_deleted_sim_has_no_more_callbacks(bench: Bench) -> None:
    bench.is_asked_to_become("deactivated")
    assert bench.arrived() == ["deactivated"]
    assert bench.sim.delete()
    bench.emulator.advance("72h")
    assert bench.arrived() == []


# ---- resets and Commands, which are called back once ---------------------------------------------


@pytest.mark.parametrize(
    ("scenario", "failure"),
    [
        ("normal", {}),
        (
            "reset-fails",
            {"ErrorCode": "33000", "ErrorMessage": "the connectivity could not be reset"},
        ),
    ],
)
def test_the_end_of_a_reset_is_called_back(
    bench: Bench, scenario: str, failure: dict[str, str]
) -> None:
    bench.becomes("active")
    bench.emulator.scenario(scenario, sim=bench.sid)
    bench.sim.update(
        reset_status="resetting", callback_url=bench.url(), callback_method=bench.way.method
    )
    (told,) = bench.told()
    assert told == {
        "ApiVersion": "v1",
        "SimSid": bench.sid,
        "SimStatus": "active",
        "AccountSid": bench.emulator.account_sid,
        **failure,
    }
    assert bench.sim.fetch().reset_status is None


@pytest.mark.parametrize(
    ("scenario", "wants_receipt", "status", "failure"),
    [
        ("normal", True, "delivered", {}),
        ("normal", False, "sent", {}),
        ("sms-unconfirmed", True, "sent", {}),
        (
            "sms-fails",
            True,
            "failed",
            {"ErrorCode": "33000", "ErrorMessage": "the Command could not be sent"},
        ),
    ],
)
def test_the_end_of_sending_a_command_is_called_back(
    bench: Bench, scenario: str, status: str, failure: dict[str, str], *, wants_receipt: bool
) -> None:
    bench.becomes("active")
    bench.emulator.scenario(scenario, sim=bench.sid)
    command = bench.client.wireless.v1.commands.create(
        sim=bench.sid,
        command="wake up",
        delivery_receipt_requested=wants_receipt,
        callback_url=bench.url(),
        callback_method=bench.way.method,
    )
    (told,) = bench.told()
    assert told == {
        "CommandSid": command.sid,
        "SimSid": bench.sid,
        "AccountSid": bench.emulator.account_sid,
        **failure,
        "CommandStatus": status,
        "CommandMode": "text",
        "Command": "wake up",
        "ApiVersion": "v1",
    }
    bench.emulator.advance("1d")
    assert bench.told() == []


def test_a_command_that_a_device_sends_is_called_back(bench: Bench) -> None:
    bench.becomes("active")
    bench.sim.update(
        unique_name="my meter",
        commands_callback_url=bench.url(),
        commands_callback_method=bench.way.method,
    )
    command = bench.emulator.device("my meter").send_command(b"\x00\xff")
    (told,) = bench.told()
    assert told == {
        "CommandSid": command.sid,
        "SimSid": bench.sid,
        "SimUniqueName": "my meter",
        "AccountSid": bench.emulator.account_sid,
        "CommandStatus": "received",
        "CommandMode": "binary",
        "Command": "AP8=",
        "ApiVersion": "v1",
    }
