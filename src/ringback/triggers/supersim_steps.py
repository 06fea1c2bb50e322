"""The steps of the triggers that make Ringback send callbacks about Super SIMs.

Each step makes requests to the server, and reports what it did.
"""

from typing import Final

from ringback.core.errors import ConfigurationError
from ringback.core.supersim.esim_profile import make_iccid
from ringback.core.supersim.sim import MOVES, SimStatus
from ringback.portal_client import JsonObject
from ringback.runtime.system_clock import SystemRandomSource
from ringback.triggers.trigger import TriggerRun, TriggerStep

_DEVICE_PORT: Final = "4000"
_UPLOAD: Final = "2048"
_DOWNLOAD: Final = "6144"


def bring_to(*wanted: SimStatus) -> TriggerStep:
    """Return a step that brings the SIM into one of these statuses, preferably the first.

    The step only prepares the SIM, so it does not ask for a callback.
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
                    f"SIM {sim['sid']} did not become {towards}: does its scenario make it fail?"
                )
        run.sim = sim["sid"]
        run.report(f"SIM {sim['sid']} is {status}")

    return bring


def _update(run: TriggerRun, sim: JsonObject, **form: str) -> None:
    """Update a SIM, and put it into the account's newest fleet if it has no fleet."""
    fleet = {} if sim["fleet_sid"] else {"Fleet": run.newest("Fleets", "fleets")}
    run.api.post("Sims", sim["sid"], form={**fleet, **form})


def take_new_sim(run: TriggerRun) -> None:
    """Use the SIM named by `--sim` if its status is `new`; otherwise register a SIM."""
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
    """Return a step that changes the SIM's status, and asks for a callback."""

    def update(run: TriggerRun) -> None:
        sim = run.fetch_sim()
        run.choose_subject(sim["sid"])
        run.report(f"its status is set to {status}, with {run.callback_in_words}")
        _update(run, sim, Status=status, **run.callback_parameters)

    return update


def send_sms(run: TriggerRun) -> None:
    """Send an SMS to the device."""
    said = "SMS Command {} is queued"
    run.create("SmsCommands", said, Sim=run.sim, Payload=run.payload)


def overtake_sms(run: TriggerRun) -> None:
    """Send a second SMS, and wait until the network can't confirm the first one any more.

    The network works in order: once it has sent a later SMS, it confirms no earlier one.
    """
    run.first_callbacks(1)
    form = {"Sim": run.sim, "Payload": "After that one"}
    later = run.api.post("SmsCommands", form=form)["sid"]
    run.wait_until(
        lambda: run.api.get("SmsCommands", later),
        lambda sms: sms["status"] != "queued",
        "the end of a later SMS",
    )
    sms = run.api.get("SmsCommands", run.subject)
    run.report(
        f"the network has sent a later SMS, {later}, and so confirms the"
        f" first one no more: it stays {sms['status']}"
    )


def send_datagram(run: TriggerRun) -> None:
    """Send a datagram to the device."""
    said = "IP Command {} is queued"
    form = {"Sim": run.sim, "Payload": run.payload, "DevicePort": _DEVICE_PORT}
    run.create("IpCommands", said, **form)


def listen_to_fleet(prefix: str) -> TriggerStep:
    """Return a step that sets the run's callback URL on the SIM's fleet, until the run ends.

    `prefix` is `Sms` or `Ip`: the kind of message from devices that causes the callbacks.
    """

    def listen(run: TriggerRun) -> None:
        path = ("Fleets", run.fetch_sim()["fleet_sid"])
        fleet = run.api.get(*path)
        before = {
            f"{prefix}CommandsUrl": fleet[f"{prefix.lower()}_commands_url"] or "",
            f"{prefix}CommandsMethod": fleet[f"{prefix.lower()}_commands_method"],
        }
        run.set_until_the_end("Fleet", *path, before=before)

    return listen


def attach(run: TriggerRun) -> None:
    """Let the SIM's device attach to the network anew."""
    answer = run.act_on_connection("attach")
    outcome = "it begins a data session" if answer["data_session_sid"] else "it begins none"
    if answer["error_code"] is not None:
        outcome = f"{answer['error_message']} ({answer['error_code']})"
    run.report(f"the device of SIM {run.sim} tries to attach: {outcome}")


def use_some_data(run: TriggerRun) -> None:
    """Let the SIM's device use data, which is reported next."""
    form = {"Upload": _UPLOAD, "Download": _DOWNLOAD}
    used = run.portal.post("devices", run.sim or "", "data", form=form)
    run.report(f"it uses {used['data_total']} bytes")


def report_usage(run: TriggerRun) -> None:
    """Have the usage of the running data session reported before six minutes are over."""
    run.act_on_connection("report")
    run.report("its usage is reported now")


def detach(run: TriggerRun) -> None:
    """Let the SIM's device leave the network."""
    run.act_on_connection("detach")
    run.report("it leaves the network, and its data session ends")


def order_profile(run: TriggerRun) -> None:
    """Order an eSIM Profile."""
    run.create("ESimProfiles", "eSIM Profile {} is ordered", GenerateMatchingId="true")


def download_profile(run: TriggerRun) -> None:
    """Wait until the profile is available, and let a device download it."""
    run.first_callbacks(1)
    run.portal.post("esim_profiles", run.subject, "download")
    run.report("it is available, and a device downloads it")
