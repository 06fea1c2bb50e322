"""Many clients do everything at the same time: each change is called back exactly once."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import Any

import pytest

from ringback.testing import Emulator
from tests.integration.test_emulator import call

CLIENTS, CALLS_EACH = 6, 60
SCENARIOS = ("", "slow", "update-fails", "unattached", "sms-unconfirmed", "sms-fails", "ip-fails")
STATUSES = ("ready", "active", "inactive")


class Clients:
    """The clients' actions; each kind of callback goes to a path of its own."""

    def __init__(self, emulator: Emulator, sims: list[str]) -> None:
        self.emulator = emulator
        self.sims = sims

    def url(self, kind: str) -> str:
        return self.emulator.receiver.url(f"/{kind}")

    def work(self, seed: int) -> Counter[str]:
        """Make randomly chosen calls; return the callbacks that their answers promise."""
        lot, promised = Random(seed), Counter[str]()
        doings: list[Callable[[Random], str | None]] = [
            self.update,
            self.update,
            self.send_sms,
            self.send_datagram,
            self.device_sends_sms,
            self.device_sends_datagram,
            self.order_profile,
            self.choose_scenario,
        ]
        for _ in range(CALLS_EACH):
            kind = lot.choice(doings)(lot)
            if kind is not None:
                promised[kind] += 1
        return promised

    def post(self, path: str, **form: str) -> int:
        return call(self.emulator, "POST", path, **form)[0]

    def update(self, lot: Random) -> str | None:
        form = {"Status": lot.choice(STATUSES), "CallbackUrl": self.url("update")}
        status = self.post(f"/v1/Sims/{lot.choice(self.sims)}", **form)
        return "update" if status in (200, 202) else None

    def send_sms(self, lot: Random) -> None:
        form = {"Sim": lot.choice(self.sims), "Payload": "hi", "CallbackUrl": self.url("sms")}
        assert self.post("/v1/SmsCommands", **form) == 201

    def send_datagram(self, lot: Random) -> str:
        form = {"Sim": lot.choice(self.sims), "Payload": "hi", "DevicePort": "4000"}
        assert self.post("/v1/IpCommands", **form, CallbackUrl=self.url("ip")) == 201
        return "ip"

    def device_sends_sms(self, lot: Random) -> str | None:
        path = f"/portal/v1/devices/{lot.choice(self.sims)}/sms"
        return "sms-in" if self.post(path, Payload="hi") == 201 else None

    def device_sends_datagram(self, lot: Random) -> str | None:
        path = f"/portal/v1/devices/{lot.choice(self.sims)}/ip"
        return "ip-in" if self.post(path, Payload="hi") == 201 else None

    def order_profile(self, lot: Random) -> str:
        form = {"GenerateMatchingId": "true", "CallbackUrl": self.url("profile")}
        assert self.post("/v1/ESimProfiles", **form) == 201
        return "profile"

    def choose_scenario(self, lot: Random) -> None:
        form = {"Sim": lot.choice(self.sims), "Scenario": lot.choice(SCENARIOS)}
        assert self.post("/portal/v1/scenarios", **form) == 200


def listed(emulator: Emulator, path: str, key: str) -> list[dict[str, Any]]:
    return call(emulator, "GET", f"{path}?PageSize=1000")[1][key]


def prepare(emulator: Emulator) -> Clients:
    """Register some SIMs to the first fleet, which is called back about their devices' messages."""
    sims = [emulator.sim_sid]
    for number in range(4):
        card = {"Iccid": f"8988307000000000{number:04}", "RegistrationCode": "H3LL0W0RLD"}
        sims.append(call(emulator, "POST", "/v1/Sims", **card)[1]["sid"])
        call(emulator, "POST", f"/v1/Sims/{sims[-1]}", Fleet="my_fleet")
    clients = Clients(emulator, sims)
    hooks = {"SmsCommandsUrl": clients.url("sms-in"), "IpCommandsUrl": clients.url("ip-in")}
    call(emulator, "POST", "/v1/Fleets/my_fleet", **hooks)
    return clients


@pytest.mark.parametrize("takes", ["0s", "5ms", "30m"])
def test_each_change_is_called_back_once_and_nothing_is_left_in_progress(takes: str) -> None:
    with Emulator(settings={"update_takes": takes}) as emulator:
        clients = prepare(emulator)
        with ThreadPoolExecutor(CLIENTS) as pool:
            promised = sum(pool.map(clients.work, range(CLIENTS)), Counter[str]())
        emulator.advance("3d")
        got = Counter(request.path.strip("/") for request in emulator.receiver.requests)
        sent = [
            command["status"]
            for command in listed(emulator, "/v1/SmsCommands", "sms_commands")
            if command["direction"] == "to_sim"
        ]
        # An SMS is called back at each change: one that was delivered was sent before.
        promised["sms"] = len(sent) + sent.count("delivered")
        assert got == promised
        assert "queued" not in sent
        for path, key, under_way in (
            ("/v1/Sims", "sims", {"scheduled"}),
            ("/v1/IpCommands", "ip_commands", {"queued"}),
            ("/v1/ESimProfiles", "esim_profiles", {"new", "reserving"}),
            ("/v1/SettingsUpdates", "settings_updates", {"scheduled", "in-progress"}),
        ):
            assert not under_way & {one["status"] for one in listed(emulator, path, key)}
