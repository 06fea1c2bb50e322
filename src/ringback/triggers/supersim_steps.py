"""The steps of Super SIM's triggers: each asks the server for one thing, and reports it."""

from typing import Final

from ringback.core.errors import ConfigurationError
from ringback.core.supersim.esim_profile import make_iccid
from ringback.core.supersim.sim import MOVES, SimStatus
from ringback.portal_client import JsonObject
from ringback.runtime.system_clock import SystemRandomSource
from ringback.triggers.trigger import TriggerRun, TriggerStep

_DEVICE_PORT: Final = "4000"


def bring_to(*wanted: SimStatus) -> TriggerStep:
    """Return a step that brings the SIM into one of these statuses, the first if possible.

    No callback is asked for, since this only prepares what the trigger is about.
    """

    def bring(run: TriggerRun) -> None:
        sim = run.fetch_sim()
        while (status := SimStatus(sim["status"])) not in wanted:
            towards = wanted[0] if wanted[0] in MOVES[status] else SimStatus.ACTIVE
            run.report(
                f"SIM {sim['sid']} is {status}; first it becomes {towards}, without a callback"
            )
            _update(run, sim, Status=towards)
            sim = run.fetch_sim()
            if sim["status"] != towards:
                raise ConfigurationError(
                    f"SIM {sim['sid']} did not become {towards}: is its scenario to fail?"
                )
        run.sim = sim["sid"]
        run.report(f"SIM {sim['sid']} is {status}")

    return bring


def _update(run: TriggerRun, sim: JsonObject, **form: str) -> None:
    """Update a SIM; one that is in no fleet yet gets the account's newest."""
    fleet = {} if sim["fleet_sid"] else {"Fleet": run.newest("Fleets", "fleets")}
    run.api.post("Sims", sim["sid"], form={**fleet, **form})


def take_new_sim(run: TriggerRun) -> None:
    """Register a fresh SIM, unless the one that is named is new."""
    if run.sim is not None:
        sim = run.fetch_sim()
        if sim["status"] == SimStatus.NEW:
            run.report(f"SIM {sim['sid']} is new")
            return
    form = {"Iccid": make_iccid(SystemRandomSource().bytes(8)), "RegistrationCode": "R1NGBACK00"}
    sim = run.api.post("Sims", form=form)
    run.sim = sim["sid"]
    run.report(f"SIM {sim['sid']} is registered, with the ICCID {sim['iccid']}; it is new")


def update_to(status: SimStatus) -> TriggerStep:
    """Return a step that asks for a status of the SIM, with a callback."""

    def update(run: TriggerRun) -> None:
        sim = run.fetch_sim()
        run.subject = sim["sid"]
        run.report(f"it is asked to be {status}, with {run.callback_in_words}")
        _update(run, sim, Status=status, **run.callback_parameters)

    return update


def send_sms(run: TriggerRun) -> None:
    """Send an SMS to the device."""
    said = "SMS Command {} is to be sent"
    run.create("SmsCommands", said, Sim=run.sim, Payload=run.payload)


def overtake_sms(run: TriggerRun) -> None:
    """Wait until no confirmation of the SMS can come any more.

    The network works in order: when a later SMS has been sent, no confirmation is pending.
    """
    run.first_callbacks(1)
    form = {"Sim": run.sim, "Payload": "After that one"}
    later = run.api.post("SmsCommands", form=form)["sid"]
    run.wait_until(
        lambda: run.api.get("SmsCommands", later),
        lambda sms: sms["status"] != "queued",
        "a later SMS",
    )
    sms = run.api.get("SmsCommands", run.subject)
    run.report(f"a later one, {later}, has overtaken it: it is {sms['status']}, and stays so")


def send_datagram(run: TriggerRun) -> None:
    """Send a datagram to the device."""
    said = "IP Command {} is to be sent"
    form = {"Sim": run.sim, "Payload": run.payload, "DevicePort": _DEVICE_PORT}
    run.create("IpCommands", said, **form)


def listen_to_fleet(prefix: str) -> TriggerStep:
    """Return a step that has the SIM's fleet call back for what its devices send, until the end."""

    def listen(run: TriggerRun) -> None:
        path = ("Fleets", run.fetch_sim()["fleet_sid"])
        fleet = run.api.get(*path)
        before = {
            f"{prefix}CommandsUrl": fleet[f"{prefix.lower()}_commands_url"] or "",
            f"{prefix}CommandsMethod": fleet[f"{prefix.lower()}_commands_method"],
        }
        run.set_until_the_end("Fleet", *path, before=before)

    return listen


def order_profile(run: TriggerRun) -> None:
    """Order an eSIM Profile."""
    run.create("ESimProfiles", "eSIM Profile {} is ordered", GenerateMatchingId="true")


def download_profile(run: TriggerRun) -> None:
    """Have a device download the profile, once it can."""
    run.first_callbacks(1)
    run.portal.post("esim_profiles", run.subject, "download")
    run.report("it is available, and a device downloads it")
