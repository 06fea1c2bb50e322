"""The steps of the triggers that make Ringback send callbacks about Programmable Wireless SIMs.

Each step makes requests to the server, and reports what it did.
"""

from ringback.core.errors import ConfigurationError
from ringback.core.sims.auto_activation import READY_DATA
from ringback.core.sims.message import LONGEST_SMS
from ringback.core.wireless.sim import WirelessStatus
from ringback.triggers.trigger import TriggerRun, TriggerStep, device_sends


def use_active_sim(run: TriggerRun) -> None:
    """Use the SIM named by `--sim`, and activate it if it is suspended.

    Raises ConfigurationError if the SIM is neither active nor suspended.
    """
    sim = run.fetch_sim()
    if sim["status"] == WirelessStatus.SUSPENDED:
        change_to(WirelessStatus.ACTIVE)(run)
        sim = run.fetch_sim()
    if sim["status"] != WirelessStatus.ACTIVE:
        raise ConfigurationError(
            f"SIM {sim['sid']} is {sim['status']}, but must be active or suspended; name another"
            " one with --sim, or register one: POST /portal/v1/wireless_sims"
        )
    run.sim = sim["sid"]
    run.report(f"SIM {sim['sid']} is active")


def register(run: TriggerRun) -> None:
    """Use the SIM named by `--sim` if its status is `new`; otherwise register a SIM."""
    if run.sim is not None and run.fetch_sim()["status"] == WirelessStatus.NEW:
        run.report(f"SIM {run.sim} is new")
        return
    plan = run.newest("RatePlans", "rate_plans")
    sid = run.portal.post("wireless_sims")["sid"]
    run.api.post("Sims", sid, form={"RatePlan": plan})
    run.sim = sid
    run.report(f"SIM {sid} is registered, with RatePlan {plan}; it is new")


def change_to(status: WirelessStatus) -> TriggerStep:
    """Return a step that brings the SIM into this status, without asking for a callback."""

    def change(run: TriggerRun) -> None:
        run.report(f"first it becomes {status}, without a callback")
        run.api.post("Sims", run.sim or "", form={"Status": status})
        if (now := run.fetch_sim()["status"]) != status:
            raise ConfigurationError(
                f"SIM {run.sim} is {now}, not {status}: does its scenario make it fail?"
            )

    return change


def ask_for(**form: str) -> TriggerStep:
    """Return a step that updates the SIM with these parameters, and asks for a callback."""

    def ask(run: TriggerRun) -> None:
        run.choose_subject(run.sim or "")
        wish = ", ".join(f"{name}={value}" for name, value in form.items())
        run.report(f"it is updated: {wish}, with {run.callback_in_words}")
        run.api.post("Sims", run.subject, form={**form, **run.callback_parameters})

    return ask


def use_much_data(run: TriggerRun) -> None:
    """Wait until the SIM is `ready`; then let its device use enough data to make it `active`."""
    run.first_callbacks(1)
    form = {"Upload": str(READY_DATA)}
    used = run.portal.post("devices", run.subject, "data", form=form)
    run.report(f"it is ready, and its device uses {used['data_total']} bytes")


def send(**form: str) -> TriggerStep:
    """Return a step that sends a Command to the device."""
    said = "Command {} is queued"
    return lambda run: run.create("Commands", said, Sim=run.sim, Command=run.payload, **form)


def listen_to_sim(run: TriggerRun) -> None:
    """Set the run's callback URL on the SIM, for Commands from its device, until the run ends."""
    sim = run.fetch_sim()
    before = {
        "CommandsCallbackUrl": sim["commands_callback_url"] or "",
        "CommandsCallbackMethod": sim["commands_callback_method"],
    }
    run.set_until_the_end("SIM", "Sims", sim["sid"], before=before)


def device_sends_too_much(run: TriggerRun) -> None:
    """Let the device send a text that is longer than a Command can be, so that it is cut off."""
    run.payload = (run.payload * LONGEST_SMS)[: LONGEST_SMS + 1]
    device_sends("commands")(run)
