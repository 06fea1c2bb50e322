"""The page of `ringback dev`: its clock, events to trigger, and the devices of its SIMs.

An event is triggered by the code of `ringback trigger`, and so really goes through the simulated
network. What it does at last is undone, as there.
"""

import asyncio
import math
import shlex
from base64 import b64decode
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import groupby
from typing import Any, Final
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.responses import Response

from ringback.console.access import PATH, DevAccess
from ringback.console.api_caller import SUPER_SIM, WIRELESS, ApiRefusal, JsonObject
from ringback.console.dev_actions import TooManyEvents, TriggeredEvent
from ringback.console.formats import event_label, full_time, long_day, milliseconds, moment
from ringback.console.in_process_client import InProcessClient
from ringback.console.visit import PageHandler, PageHandlers, Visit
from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.counted import counted
from ringback.core.errors import InvalidCallbackUrl
from ringback.core.policy.source_policy import Source
from ringback.core.policy.url_source_override import override_source
from ringback.core.sids import SidKind, is_sid
from ringback.core.sims.device_messages import KINDS_OF_PRODUCT, MESSAGE_KINDS
from ringback.core.sims.message import EXAMPLE_TEXT, Direction, PayloadType
from ringback.core.sims.scenario import SCENARIOS
from ringback.dev_receiver.usual_address import LISTEN_URL
from ringback.triggers import TRIGGERS, TriggerDefinition
from ringback.triggers.trigger import TriggerRun

_DEV: Final = f"{PATH}/dev"
_EVERY: Final = 3
"""Seconds between two refreshes."""
_PATIENCE: Final = 3.0
"""How long an action is waited for, in seconds; then it goes on while the page is shown."""
_ADVANCES: Final = (("1m", "1 min"), ("30m", "30 min"), ("2h", "2 h"), ("1d", "1 day"))
_WAITING: Final = 200
"""How many of the newest waiting callbacks are searched for those that are due first."""
_DUE: Final = 5
_SIMS: Final = 10
"""How many of the newest SIMs of each product are shown."""
_COMMANDS: Final = 10
_METHODS: Final = ("POST", "GET")
_QUICK: Final = "sms.received"
"""The event of the first button, which the Enter key presses."""
_PRODUCTS: Final = {"supersim": "Super SIM", "wireless": "Programmable Wireless"}
_OF_PRODUCT: Final[Mapping[str, str]] = {
    "supersim": SidKind.SIM.value,
    "wireless": SidKind.WIRELESS_SIM.value,
}
_FIELDS: Final = {
    "to": LISTEN_URL,
    "cbs": "",
    "method": _METHODS[0],
    "sim": "",
    "payload": EXAMPLE_TEXT,
}
"""The fields of the form for events, with their values at first."""


async def show(visit: Visit) -> Response:
    """Show the page, or one of its parts."""
    part = visit.request.headers.get("hx-target", "")
    asked = [part] if "hx-request" in visit.request.headers and part in _PARTS else list(_PARTS)
    found = await asyncio.gather(*(_PARTS[name](visit) for name in asked))
    values = {name: value for each in found for name, value in each.items()}
    if len(asked) > 1:
        values |= await _whole(visit, values)
    return await visit.page("dev.html", title="Dev", every=_EVERY, **values)


# ---- what the page shows -------------------------------------------------------------------------


async def _whole(visit: Visit, parts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values for the rest of the page; `parts` has those of its parts."""
    account, sims = _account(visit), parts["sims"]
    clock, policy, scenarios = await asyncio.gather(
        visit.api.get("clock", account_sid=account),
        visit.api.get("policy", account_sid=account),
        visit.api.get("scenarios", account_sid=account),
    )
    given = {name: visit.asked(name, usual) for name, usual in _FIELDS.items()}
    return {
        "clock": clock,
        "policy_ahead": _seconds_between(clock["now"], policy["date"]),
        "border": (border := _next_border(policy)),
        "border_due": "" if border is None else _due_before(border, clock, parts),
        "advances": _ADVANCES,
        "scenarios": scenarios,
        "account_scenarios": _scenarios("the usual one"),
        "given": given,
        "choices": {
            "cbs": [("", "nothing"), *((one.value, one.value) for one in Source)],
            "method": [(one, one) for one in _METHODS],
            "sim": [("", "as the event needs"), *((one["sid"], one["name"]) for one in sims)],
            "messages": _messages(sims),
        },
        "quick": _QUICK,
        "groups": _trigger_groups(),
        "query": _query(visit),
        "command": _command(given),
    }


async def _due(visit: Visit) -> dict[str, Any]:
    """Return the callbacks whose next attempts come first, of the newest that wait."""
    query = {"Status": "scheduled", "PageSize": str(_WAITING)}
    page = await visit.api.get("callbacks", query=query, account_sid=_account(visit))
    waiting = page["callbacks"]
    dated = [one for one in waiting if one["date_next_attempt"] is not None]
    dated.sort(key=lambda one: one["date_next_attempt"])
    return {
        "due": dated[:_DUE],
        "waiting": len(waiting),
        "due_dates": [one["date_next_attempt"] for one in dated],
        "has_more_waiting": page["meta"]["next_page_url"] is not None,
    }


async def _triggered(visit: Visit) -> dict[str, Any]:
    return {"triggered": visit.dev_actions.triggered(_account(visit))}


async def _sims(visit: Visit) -> dict[str, Any]:
    """Return the SIMs of both products, each with its device; first those of `ringback dev`."""
    account, dev = _account(visit), _dev(visit)
    pages = await asyncio.gather(
        *(
            visit.api.get("Sims", query={"PageSize": str(_SIMS)}, root=root, account_sid=account)
            for root in (SUPER_SIM, WIRELESS)
        )
    )
    listed = {sim["sid"]: sim for page in pages for sim in page["sims"]}
    own = [dev.sim_sid, dev.wireless_sim_sid] if account == dev.account_sid else []
    order = list(dict.fromkeys([*own, *listed]))
    sims = await asyncio.gather(*(_sim(visit, sid, listed.get(sid)) for sid in order))
    return {
        "sims": [sim for sim in sims if sim is not None],
        "has_more_sims": any(page["meta"]["next_page_url"] is not None for page in pages),
        "most_sims": _SIMS,
        "sim_scenarios": _scenarios("as the account"),
        "sims_query": _query(visit),
    }


async def _sim(visit: Visit, sid: str, known: JsonObject | None) -> JsonObject | None:
    """Return the values that are shown of a SIM; None if it was deleted meanwhile."""
    account = _account(visit)
    root = SUPER_SIM if is_sid(sid, SidKind.SIM) else WIRELESS
    try:
        device, sim = await asyncio.gather(
            visit.api.get("devices", sid, account_sid=account),
            _known(known) if known else visit.api.get("Sims", sid, root=root, account_sid=account),
        )
    except ApiRefusal as refusal:
        if refusal.status == 404:
            return None
        raise
    kinds = [(kind, MESSAGE_KINDS[kind]) for kind in KINDS_OF_PRODUCT[device["product"]]]
    return {
        "sid": sid,
        "name": sim["unique_name"] or sid,
        "unique_name": sim["unique_name"],
        "iccid": sim["iccid"],
        "status": sim["status"],
        "product": _PRODUCTS[device["product"]],
        "urls": [(kind.many, url) for _, kind in kinds if (url := device[kind.url_field])],
        "scenario": device["scenario"],
        "scenario_reason": device["scenario_reason"],
        "messages": [(name, kind.name) for name, kind in kinds],
    }


async def _known(record: JsonObject) -> JsonObject:
    return record


async def _commands(visit: Visit) -> dict[str, Any]:
    """Return the newest messages to and from devices, of both products."""
    lists = (("SmsCommands", "SMS"), ("IpCommands", "datagram"), ("Commands", "Command"))
    pages = await asyncio.gather(
        *(
            visit.api.get(
                name,
                query={"PageSize": str(_COMMANDS)},
                root=WIRELESS if name == "Commands" else SUPER_SIM,
                account_sid=_account(visit),
            )
            for name, _ in lists
        )
    )
    found = [
        {
            **record,
            "kind": f"{kind} {'from' if record['direction'] == Direction.FROM_SIM else 'to'} a SIM",
            "text": _text_of(record, "command" if kind == "Command" else "payload"),
        }
        for (_, kind), page in zip(lists, pages, strict=True)
        for record in page[page["meta"]["key"]]
    ]
    found.sort(key=lambda record: record["date_created"], reverse=True)
    return {"commands": found[:_COMMANDS]}


def _text_of(record: JsonObject, name: str) -> str:
    """Return the content of a message, decoded if it is Base64 of a printable text."""
    content, form = record[name], record.get("payload_type") or record.get("command_mode")
    if form != PayloadType.BINARY:
        return content
    try:
        decoded = b64decode(content).decode()
    except ValueError:
        return content
    return decoded if decoded.isprintable() else content


_PARTS: Final[Mapping[str, Callable[[Visit], Awaitable[dict[str, Any]]]]] = {
    "due": _due,
    "triggered": _triggered,
    "sims": _sims,
    "commands": _commands,
}
"""What the parts of the page need that can be refreshed by themselves."""


def _dev(visit: Visit) -> DevAccess:
    """Return the account and SIMs of `ringback dev`; raises HTTPException (404) elsewhere."""
    if visit.dev is None:
        raise HTTPException(404)
    return visit.dev


def _account(visit: Visit) -> str:
    """Return the account that the page is about; an operator's usual one is that of the notice."""
    return visit.account_sid or _dev(visit).account_sid


def _seconds_between(earlier: str, later: str) -> float:
    first, last = moment(earlier), moment(later)
    return 0.0 if first is None or last is None else (last - first).total_seconds()


def _next_border(policy: JsonObject) -> JsonObject | None:
    ahead = [border for border in policy["borders"] if border["seconds_left"] > 0]
    return min(ahead, key=lambda border: border["seconds_left"], default=None)


def _due_before(border: JsonObject, clock: JsonObject, parts: Mapping[str, Any]) -> str:
    """Return in words how many of the waiting callbacks an advance past the border would send."""
    left = border["seconds_left"]
    number = sum(_seconds_between(clock["now"], due) <= left for due in parts["due_dates"])
    words = f"{counted(number, 'waiting callback')} {'is' if number == 1 else 'are'} due before"
    if parts["has_more_waiting"]:
        return f"of the newest {parts['waiting']} that wait, {number} are due before"
    return words if number else "no waiting callback is due before"


def _scenarios(unset: str) -> list[tuple[str, str]]:
    """Return the scenarios to choose from; `unset` are the words for choosing none."""
    return [("", unset), *((name, name) for name in SCENARIOS)]


def _messages(sims: Sequence[JsonObject]) -> list[tuple[str, str]]:
    """Return the messages that can be sent from each device, to choose from."""
    return [
        (f"{sim['sid']}/{kind}", f"{sim['name']}: {name}")
        for sim in sims
        for kind, name in sim["messages"]
    ]


def _trigger_groups() -> list[tuple[str, list[TriggerDefinition]]]:
    kinds = groupby(TRIGGERS.values(), key=lambda trigger: trigger.name.partition(".")[0])
    return [(event_label(kind), list(triggers)) for kind, triggers in kinds]


def _command(given: Mapping[str, str]) -> str:
    """Return the command that triggers an event as the form does."""
    parts = ["ringback trigger", _QUICK, "--to", shlex.quote(given["to"])]
    flags = {name: given[name] for name in ("cbs", "method", "sim", "payload")}
    for name, value in flags.items():
        if value != _FIELDS[name]:
            parts += [f"--{name}", shlex.quote(value)]
    return " ".join(parts)


# ---- the clock -----------------------------------------------------------------------------------


async def advance(visit: Visit) -> Response:
    """Advance the clock by what was typed, or past a border of the policy."""
    form = await visit.form()
    by, border = "".join(form.get("advance", "").split()), form.get("border", "")
    try:
        words = f"by {by}"
        if border:
            by, words = await _time_to(visit, border), f"past {long_day(border)}"
        call = visit.api.post("clock", form={"Advance": by}, account_sid=_account(visit))
        clock = await visit.dev_actions.wait_for(call, seconds=_PATIENCE)
    except ApiRefusal as refusal:
        return visit.refused(refusal, _back(visit))
    if clock is None:
        return visit.back(
            _back(visit),
            f"The clock is being advanced {words}. This goes on: much comes due meanwhile, and a"
            " receiver that does not answer takes its real time.",
        )
    return visit.back(
        _back(visit), f"The clock was advanced {words}: it is {full_time(clock['now'])}."
    )


async def _time_to(visit: Visit, border: str) -> str:
    """Return how far the clock has to be advanced to pass this border.

    The policy may have a calendar that is ahead of the clock; it says itself how long is left.
    """
    policy = await visit.api.get("policy", account_sid=_account(visit))
    for one in policy["borders"]:
        if one["date"] == border and one["seconds_left"] > 0:
            return f"{math.floor(one['seconds_left']) + 1}s"
    raise ApiRefusal(409, None, "this border has been passed already; nothing was changed")


# ---- events --------------------------------------------------------------------------------------


async def trigger(visit: Visit) -> Response:
    """Trigger an event, wait a while for its callbacks, and say what came of it."""
    form = await visit.form()
    given = {name: form.get(name, usual).strip() for name, usual in _FIELDS.items()}
    changed = {name: value for name, value in given.items() if value != _FIELDS[name]}
    back = _back(visit, **changed)
    chosen = TRIGGERS.get(form.get("event", ""))
    if chosen is None:
        return visit.back(back, "Choose one of the events on this page.", is_bad=True)
    try:
        _refuse_readers(visit)
        url = given["to"]
        to = CallbackUrl.parse(
            override_source(url, given["cbs"]) if given["cbs"] else url, sources=None
        )
        sim = await _sim_for(visit, chosen, given["sim"])
        event = _begin(visit, chosen, to, {**given, "sim": sim})
    except InvalidCallbackUrl as problem:
        return visit.back(back, f"The callback URL: {problem}", is_bad=True)
    except ApiRefusal as refusal:
        return visit.refused(refusal, back)
    except TooManyEvents as refusal:
        return visit.back(back, str(refusal), is_bad=True)
    await visit.dev_actions.wait_for(event.has_ended.wait(), seconds=_PATIENCE)
    newest = event.callbacks[-1]["sid"] if event.callbacks else ""
    return visit.back(
        back,
        _result_of(event),
        is_bad=event.problem is not None,
        link=f"{PATH}/callbacks/{newest}" if newest else "",
        link_text="Open it" if len(event.callbacks) == 1 else "Open the last one",
    )


def _begin(
    visit: Visit, chosen: TriggerDefinition, to: CallbackUrl, given: Mapping[str, str]
) -> TriggeredEvent:
    account = _account(visit)
    portal = InProcessClient(
        base_url=_dev(visit).base_url,
        account_sid=account,
        auth_token="",
        caller=visit.api,
        loop=asyncio.get_running_loop(),
    )

    def run(report: Callable[[str], None]) -> TriggerRun:
        return TriggerRun(
            portal=portal,
            product=chosen.product,
            to=to,
            method=given["method"],
            report=report,
            sim=given["sim"] or None,
            payload=given["payload"],
        )

    return visit.dev_actions.trigger(chosen, run, account_sid=account, now=visit.now)


async def _sim_for(visit: Visit, chosen: TriggerDefinition, asked: str) -> str:
    """Return the SIM for an event: the one that was chosen, or the first of its product."""
    product, prefix = _PRODUCTS[chosen.product], _OF_PRODUCT[chosen.product]
    if not chosen.has_sim:
        return ""
    if asked:
        if asked.startswith(prefix):
            return asked
        raise ApiRefusal(
            400, None, f"{chosen.name} needs a SIM of {product}: choose another SIM, and try again"
        )
    dev = _dev(visit)
    if _account(visit) == dev.account_sid:
        return dev.sim_sid if chosen.product == "supersim" else dev.wireless_sim_sid
    sims = (await _sims(visit))["sims"]
    found = next((sim["sid"] for sim in sims if sim["sid"].startswith(prefix)), None)
    if found is None:
        raise ApiRefusal(
            400, None, f"this account has no SIM of {product}, which {chosen.name} needs"
        )
    return found


def _result_of(event: TriggeredEvent) -> str:
    if event.goes_on:
        did = f" So far: {event.did[-1]}." if event.did else ""
        return f"{event.name} goes on; what comes of it is shown below.{did}"
    if event.problem is not None:
        return f"{event.name}: {event.problem}"
    number = len(event.callbacks)
    if not number:
        return f"{event.name}: the event was published to the sinks that are subscribed to it."
    noun = "a callback was" if number == 1 else f"{number} callbacks were"
    last = event.callbacks[-1].get("last_attempt")
    took = f" in {milliseconds(last['duration_ms'])}" if last and number == 1 else ""
    return f"{event.name}: {noun} created, and delivered{took}."


# ---- devices and scenarios -----------------------------------------------------------------------


async def send(visit: Visit) -> Response:
    """Send a message from a device."""
    form = await visit.form()
    sid, _, kind = form.get("as", "").partition("/")
    back, account = _back(visit), _account(visit)
    if kind not in MESSAGE_KINDS:
        return visit.back(back, "Choose a device, and what it sends.", is_bad=True)
    try:
        device = await visit.api.get("devices", sid, account_sid=account)
        sent = await visit.api.post(
            *("devices", sid, kind), form={"Payload": form.get("payload", "")}, account_sid=account
        )
    except ApiRefusal as refusal:
        return visit.refused(refusal, back)
    name, way = device["sim_unique_name"] or sid, MESSAGE_KINDS[kind]
    said = f"The device of {name} has sent a {way.name}, {sent['sid']}: {way.target_of(device)}."
    return visit.back(back, said)


async def choose_scenario(visit: Visit) -> Response:
    """Choose a scenario for a SIM or for the account, or remove the choice."""
    form = await visit.form()
    sim, name = form.get("sim", ""), form.get("scenario", "")
    try:
        chosen = await visit.api.post(
            "scenarios", form={"Scenario": name, "Sim": sim or None}, account_sid=_account(visit)
        )
    except ApiRefusal as refusal:
        return visit.refused(refusal, _back(visit))
    whose = form.get("name", sim) if sim else "the account"
    return visit.back(
        _back(visit),
        f"The scenario of {whose} is {chosen['scenario']} ({chosen['reason']}):"
        f" {chosen['meaning']}.",
    )


# ---- the routes ----------------------------------------------------------------------------------


def _only_in_dev(handler: PageHandler) -> PageHandler:
    async def answer(visit: Visit) -> Response:
        _dev(visit)
        return await handler(visit)

    return answer


PAGES: Final[PageHandlers] = {
    "/dev": {"GET": _only_in_dev(show)},
    "/dev/clock": {"POST": _only_in_dev(advance)},
    "/dev/trigger": {"POST": _only_in_dev(trigger)},
    "/dev/send": {"POST": _only_in_dev(send)},
    "/dev/scenario": {"POST": _only_in_dev(choose_scenario)},
}


def _back(visit: Visit, **given: str) -> str:
    """Return the URL of the page, with the account and with what was typed."""
    return f"{_DEV}{_query(visit, **given)}"


def _query(visit: Visit, **given: str) -> str:
    account = visit.asked("account")
    query = {**({"account": account} if account else {}), **given}
    return f"?{urlencode(query)}" if query else ""


def _refuse_readers(visit: Visit) -> None:
    """Raise ApiRefusal before anything begins that a read-only key would be refused later."""
    if not visit.may_change:
        raise ApiRefusal(403, None, "this key can only read, so it triggers nothing")
