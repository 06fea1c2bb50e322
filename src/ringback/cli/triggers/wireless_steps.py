"""The steps that triggers of Programmable Wireless are made of."""

from ringback.cli.triggers.stage import Stage, Step
from ringback.core.errors import Unusable
from ringback.core.message import LONGEST_SMS
from ringback.core.readiness import READY_DATA
from ringback.core.wireless.sim import WirelessStatus


def use_active_sim(stage: Stage) -> None:
    """Take the SIM that is named, and see that it is active."""
    sim = stage.fetch_sim()
    if sim["status"] == WirelessStatus.SUSPENDED:
        change_to(WirelessStatus.ACTIVE)(stage)
        sim = stage.fetch_sim()
    if sim["status"] != WirelessStatus.ACTIVE:
        raise Unusable(
            f"SIM {sim['sid']} is {sim['status']}, and has to be active or suspended for this; name"
            " another with --sim, or register one: POST /portal/v1/wireless_sims"
        )
    stage.sim = sim["sid"]
    stage.say(f"SIM {sim['sid']} is active")


def register(stage: Stage) -> None:
    """Register a fresh SIM with the account's newest rate plan, unless the one named is new."""
    if stage.sim is not None and stage.fetch_sim()["status"] == WirelessStatus.NEW:
        stage.say(f"SIM {stage.sim} is new")
        return
    plan = stage.newest("RatePlans", "rate_plans")
    sid = stage.portal.post("wireless_sims")["sid"]
    stage.api.post("Sims", sid, form={"RatePlan": plan})
    stage.sim = sid
    stage.say(f"SIM {sid} is registered, with RatePlan {plan}; it is new")


def change_to(status: WirelessStatus) -> Step:
    """Return what has the SIM become this, untold."""

    def change(stage: Stage) -> None:
        stage.say(f"first it becomes {status}, without a callback")
        stage.api.post("Sims", stage.sim or "", form={"Status": status})
        if (now := stage.fetch_sim()["status"]) != status:
            raise Unusable(f"SIM {stage.sim} is {now}, not {status}: is its scenario to fail?")

    return change


def ask_for(**form: str) -> Step:
    """Return what asks for something of the SIM, with a callback."""

    def ask(stage: Stage) -> None:
        stage.subject = stage.sim or ""
        wish = ", ".join(f"{name}={value}" for name, value in form.items())
        stage.say(f"it is updated: {wish}, with {stage.where}")
        stage.api.post("Sims", stage.subject, form={**form, **stage.called_back})

    return ask


def use_much_data(stage: Stage) -> None:
    """Have the device use so much data that a SIM that is ready becomes active."""
    stage.told(1)
    form = {"Upload": str(READY_DATA)}
    used = stage.portal.post("devices", stage.subject, "data", form=form)
    stage.say(f"it is ready, and its device uses {used['data_total']} bytes")


def send(**form: str) -> Step:
    """Return what sends a Command to the device."""

    def command(stage: Stage) -> None:
        asked = {"Sim": stage.sim, "Command": stage.payload, **form, **stage.called_back}
        stage.subject = stage.api.post("Commands", form=asked)["sid"]
        stage.say(f"Command {stage.subject} is to be sent, with {stage.where}")

    return command


def listen_to_sim(stage: Stage) -> None:
    """Have the SIM tell of the Commands that its device sends, until the end."""
    sim = stage.fetch_sim()
    before = {
        "CommandsCallbackUrl": sim["commands_callback_url"] or "",
        "CommandsCallbackMethod": sim["commands_callback_method"],
    }

    def put_back() -> None:
        stage.api.post("Sims", sim["sid"], form=before)
        stage.say("CommandsCallbackUrl of the SIM is what it was")

    stage.undo.callback(put_back)
    there = dict(zip(before, (stage.to.configured, stage.method), strict=True))
    stage.api.post("Sims", sim["sid"], form=there)
    stage.say(f"CommandsCallbackUrl of SIM {sim['sid']} is {stage.to.shown} ({stage.method})")


def device_sends(stage: Stage) -> None:
    """Have the device send a Command."""
    form = {"Payload": stage.payload}
    stage.subject = stage.portal.post("devices", stage.sim or "", "commands", form=form)["sid"]
    stage.say(f"the device has sent {stage.subject}")


def device_sends_too_much(stage: Stage) -> None:
    """Have the device send a text that is longer than a Command can be."""
    stage.payload = (stage.payload * LONGEST_SMS)[: LONGEST_SMS + 1]
    device_sends(stage)
