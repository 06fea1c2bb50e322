"""The steps that triggers of Super SIM are made of: each asks for one thing, and says what."""

from collections.abc import Mapping
from typing import Final

from ringback.cli.triggers.stage import Record, Stage, Step
from ringback.core.errors import Unusable
from ringback.core.message import PayloadType
from ringback.core.supersim.esim_profile import make_iccid
from ringback.core.supersim.sim import MOVES, SimStatus
from ringback.engine.system import SystemChance

_DEVICE_PORT: Final = "4000"
_REGISTRATION_CODE: Final = "R1NGBACK00"


def bring_to(*wanted: SimStatus) -> Step:
    """Return what brings the SIM into one of these statuses, the first for choice, untold."""

    def bring(stage: Stage) -> None:
        sim = stage.fetch_sim()
        while (status := SimStatus(sim["status"])) not in wanted:
            towards = wanted[0] if wanted[0] in MOVES[status] else SimStatus.ACTIVE
            stage.say(
                f"SIM {sim['sid']} is {status}; first it becomes {towards}, without a callback"
            )
            _update(stage, sim, Status=towards)
            sim = stage.fetch_sim()
            if sim["status"] != towards:
                raise Unusable(
                    f"SIM {sim['sid']} did not become {towards}: is its scenario to fail?"
                )
        stage.sim = sim["sid"]
        stage.say(f"SIM {sim['sid']} is {status}")

    return bring


def _update(stage: Stage, sim: Record, **form: str) -> None:
    """Update a SIM; one that is in no fleet yet gets the account's newest."""
    fleet = {} if sim["fleet_sid"] else {"Fleet": stage.newest("Fleets", "fleets")}
    stage.api.post("Sims", sim["sid"], form={**fleet, **form})


def take_new_sim(stage: Stage) -> None:
    """Register a fresh SIM, unless the one that is named is new."""
    if stage.sim is not None:
        sim = stage.fetch_sim()
        if sim["status"] == SimStatus.NEW:
            stage.say(f"SIM {sim['sid']} is new")
            return
    form = {
        "Iccid": make_iccid(SystemChance().bytes(8)),
        "RegistrationCode": _REGISTRATION_CODE,
    }
    sim = stage.api.post("Sims", form=form)
    stage.sim = sim["sid"]
    stage.say(f"SIM {sim['sid']} is registered, with the ICCID {sim['iccid']}; it is new")


def update_to(status: SimStatus) -> Step:
    """Return what asks for a status of the SIM, with a callback."""

    def update(stage: Stage) -> None:
        sim = stage.fetch_sim()
        stage.subject = sim["sid"]
        stage.say(f"it is asked to be {status}, with {stage.where}")
        _update(stage, sim, Status=status, **stage.called_back)

    return update


def send_sms(stage: Stage) -> None:
    """Send an SMS to the device."""
    stage.subject = _sms(stage, stage.payload, stage.called_back)
    stage.say(f"SMS Command {stage.subject} is to be sent, with {stage.where}")


def overtake_sms(stage: Stage) -> None:
    """Wait until no confirmation of the SMS can come any more.

    One that is sent after it was sent is begun after its confirmation would have been.
    """
    stage.told(1)
    later = _sms(stage, "After that one", {})
    stage.wait_until(
        lambda: stage.api.get("SmsCommands", later),
        lambda sms: sms["status"] != "queued",
        "a later SMS",
    )
    sms = stage.api.get("SmsCommands", stage.subject)
    stage.say(f"a later one, {later}, has overtaken it: it is {sms['status']}, and stays so")


def _sms(stage: Stage, payload: str, called_back: Mapping[str, str]) -> str:
    form = {"Sim": stage.sim, "Payload": payload, **called_back}
    return stage.api.post("SmsCommands", form=form)["sid"]


def send_datagram(stage: Stage) -> None:
    """Send a datagram to the device."""
    form = {
        "Sim": stage.sim,
        "Payload": stage.payload,
        "DevicePort": _DEVICE_PORT,
        **stage.called_back,
    }
    stage.subject = stage.api.post("IpCommands", form=form)["sid"]
    stage.say(f"IP Command {stage.subject} is to be sent, with {stage.where}")


def listen_to_fleet(prefix: str) -> Step:
    """Return what has the SIM's fleet tell of what its devices send, until the end."""

    def listen(stage: Stage) -> None:
        path = ("Fleets", stage.fetch_sim()["fleet_sid"])
        before = stage.api.get(*path)
        url, method = (before[f"{prefix.lower()}_commands_{part}"] for part in ("url", "method"))
        names = f"{prefix}CommandsUrl", f"{prefix}CommandsMethod"

        def put_back() -> None:
            stage.api.post(*path, form=dict(zip(names, (url or "", method), strict=True)))
            stage.say(f"{names[0]} of the Fleet is what it was")

        stage.undo.callback(put_back)
        there = (stage.to.configured, stage.method)
        stage.api.post(*path, form=dict(zip(names, there, strict=True)))
        stage.say(f"{names[0]} of Fleet {path[1]} is {stage.to.shown} ({stage.method})")

    return listen


def device_sends_sms(stage: Stage) -> None:
    """Have the device send an SMS."""
    _device_sends(stage, "sms", {})


def device_sends_datagram(stage: Stage) -> None:
    """Have the device send a datagram."""
    _device_sends(stage, "ip", {"PayloadType": PayloadType.TEXT})


def _device_sends(stage: Stage, kind: str, form: Mapping[str, str]) -> None:
    path = ("devices", stage.sim or "", kind)
    stage.subject = stage.portal.post(*path, form={"Payload": stage.payload, **form})["sid"]
    stage.say(f"the device has sent {stage.subject}")


def order_profile(stage: Stage) -> None:
    """Order an eSIM Profile."""
    form = {"GenerateMatchingId": "true", **stage.called_back}
    stage.subject = stage.api.post("ESimProfiles", form=form)["sid"]
    stage.say(f"eSIM Profile {stage.subject} is ordered, with {stage.where}")


def download_profile(stage: Stage) -> None:
    """Have a device download the profile, once it can."""
    stage.told(1)
    stage.portal.post("esim_profiles", stage.subject, "download")
    stage.say("it is available, and a device downloads it")
