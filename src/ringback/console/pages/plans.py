"""Moving URLs by a plan: a draft with a preview, how far it is, and the way back.

The work is a job in the server. A draft is not stored: to carry it out, it is made again. It is
refused if its URLs have changed since somebody looked at it.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from markupsafe import Markup
from starlette.responses import Response

from ringback.console import pictures
from ringback.console.access import PATH
from ringback.console.api_caller import ApiRefusal, JsonObject
from ringback.console.formats import share
from ringback.console.visit import PageHandlers, Visit
from ringback.core.calendar import read_duration
from ringback.core.counted import counted
from ringback.core.policy.source_policy import Source

EVERY: Final = 3
PLANS: Final = f"{PATH}/move/plans"
_FIELDS: Final = ("to", "prefix", "of", "percent", "canary", "soak", "least", "probe", "replay")
_STATES: Final = (
    ("moved", "f-kore", "moved"),
    ("watched", "o-kore", "watched"),
    ("moving", "f-accent", "moving"),
    ("worse", "f-bad", "delivered worse, went back"),
    ("skipped", "o-bad", "skipped: not ready"),
    ("left", "f-edge", "left as it is"),
    ("returned", "f-twilio", "went back"),
    ("to come", "f-line", "to come"),
)
"""The states of URLs in a plan: the API's word, the look, and the words on the page."""
_TROUBLE: Final = frozenset({"worse", "skipped", "left"})


async def draft(visit: Visit) -> Response:
    """Show the form of a plan; when it is filled in, also what the plan would change."""
    given = {name: visit.asked(name) for name in _FIELDS}
    found, wrong = None, ""
    if given["to"]:
        try:
            _order(given)
            found = await _draft(visit, given)
        except ApiRefusal as refusal:
            if refusal.status in (401, 403):
                raise
            wrong = refusal.message
    return await visit.page(
        "plan_draft.html",
        title="Move URLs",
        given=given | {"probe": given["probe"] or "yes"},
        sources=[(one.value, one.value) for one in reversed(Source)],
        found=found,
        digest="" if found is None else _digest(found),
        wrong=wrong,
        steps=_steps_in_words(given),
        command=_command(given),
    )


async def carry_out(visit: Visit) -> Response:
    """Carry out the plan that was looked at."""
    form = await visit.form()
    given = {name: form.get(name, "") for name in _FIELDS}
    back = form.get("back", PLANS)
    try:
        order = _order(given)
        found = await _draft(visit, given)
        if _digest(found) != form.get("digest"):
            return visit.back(
                back,
                "Nothing was moved: the URLs have changed since you looked. This is the plan as it"
                " would be now.",
                is_bad=True,
            )
        body = {"plan": found["lines"], "action": "apply", **order}
        await visit.api.send_json("POST", "plans", body=body, account_sid=_owner(visit))
    except ApiRefusal as refusal:
        return visit.refused(refusal, back)
    return visit.back(f"{PLANS}/{found['id']}{_account_query(visit)}")


async def show(visit: Visit) -> Response:
    """Show how far a plan is."""
    plan_id = visit.request.path_params["plan_id"]
    plan = await visit.api.get("plans", plan_id, account_sid=_owner(visit))
    urls: Sequence[JsonObject] = plan["urls"]
    job = plan["job"]
    return await visit.page(
        "plan.html",
        title="Plan",
        every=EVERY,
        plan=plan,
        job=job,
        is_under_way=job is not None and job["status"] in ("running", "paused"),
        bar=_bar(plan),
        legend=[
            (look, words, plan["counts"][state])
            for state, look, words in _STATES
            if plan["counts"].get(state)
        ],
        skipped=[one for one in urls if one["state"] == "skipped"],
        watched=[_compared(one) for one in urls if one["before"] or one["since"]],
        trouble=[one for one in urls if one["state"] in _TROUBLE - {"skipped"}],
        others=[one for one in urls if one["state"] not in _TROUBLE and not one["since"]],
        can_go_back=plan["counts"].get("moved", 0) + plan["counts"].get("watched", 0),
        query=_account_query(visit),
    )


async def move_job(visit: Visit) -> Response:
    """Pause, resume or cancel the job of a plan."""
    plan_id, move = visit.request.path_params["plan_id"], visit.request.path_params["move"]
    here, form = f"{PLANS}/{plan_id}{_account_query(visit)}", await visit.form()
    if move not in _MOVES:
        raise ApiRefusal(404, None, f"a plan can't be moved by {move!r}")
    try:
        await visit.api.post("jobs", form.get("job", ""), move, account_sid=_owner(visit))
    except ApiRefusal as refusal:
        return visit.refused(refusal, here)
    return visit.back(here, _MOVES[move])


async def revert(visit: Visit) -> Response:
    """Move the URLs of a plan back."""
    plan_id = visit.request.path_params["plan_id"]
    here, form = f"{PLANS}/{plan_id}{_account_query(visit)}", await visit.form()
    try:
        lines = await _lines(visit, plan_id)
        body = {"plan": lines, "action": "revert", "replay": form.get("replay") == "yes"}
        await visit.api.send_json("POST", "plans", body=body, account_sid=_owner(visit))
    except ApiRefusal as refusal:
        return visit.refused(refusal, here)
    return visit.back(here, "The URLs go back to their old form.")


async def go_on(visit: Visit) -> Response:
    """Carry out a plan again as before, after it has stopped: what has moved stays moved."""
    plan_id, form = visit.request.path_params["plan_id"], await visit.form()
    here = f"{PLANS}/{plan_id}{_account_query(visit)}"
    try:
        job = await visit.api.get("jobs", form.get("job", ""), account_sid=_owner(visit))
        asked = {name: value for name, value in job["parameters"].items() if name in _AGAIN}
        body = {"plan": await _lines(visit, plan_id), **asked}
        await visit.api.send_json("POST", "plans", body=body, account_sid=_owner(visit))
    except ApiRefusal as refusal:
        return visit.refused(refusal, here)
    return visit.back(here, "It goes on where it stopped.")


_AGAIN: Final = frozenset(
    ("action", "canary", "soak_seconds", "least", "wait_seconds", "probe", "test_events", "replay")
)
"""The parameters of a job with which its plan goes on."""
_MOVES: Final = {
    "pause": "It is paused: no further URL moves until it is resumed.",
    "resume": "It goes on.",
    "cancel": "It is cancelled: what has moved stays, and no further URL moves.",
}
PAGES: Final[PageHandlers] = {
    "/move/plans": {"GET": draft, "POST": carry_out},
    "/move/plans/{plan_id}": {"GET": show},
    "/move/plans/{plan_id}/revert": {"POST": revert},
    "/move/plans/{plan_id}/go-on": {"POST": go_on},
    "/move/plans/{plan_id}/{move}": {"POST": move_job},
}


def _owner(visit: Visit) -> str | None:
    """Return the account whose plan it is; None for the operator's own plans, of all accounts."""
    return visit.account_sid


def _account_query(visit: Visit) -> str:
    return f"?account={visit.account_sid}" if visit.is_operator and visit.account_sid else ""


async def _draft(visit: Visit, given: Mapping[str, str]) -> JsonObject:
    form = {
        "To": given["to"],
        "UrlPrefix": given["prefix"] or None,
        "AccountSid": given["of"] or None,
        "Percent": given["percent"] or None,
    }
    return await visit.api.post("plans", "drafts", form=form, account_sid=_owner(visit))


def _digest(found: JsonObject) -> str:
    """Return a digest of what a draft changes; its first line is made anew each time."""
    changes = "\n".join(found["lines"][1:])
    return hashlib.blake2b(changes.encode(), digest_size=16).hexdigest()


def _order(given: Mapping[str, str]) -> dict[str, Any]:
    """Return how to carry out a plan, for the API; raises ApiRefusal for what can't be read."""
    order: dict[str, Any] = {"probe": given["probe"] != "no", "replay": given["replay"] == "yes"}
    shares = [one.strip().removesuffix("%").strip() for one in given["canary"].split(",")]
    if given["canary"].strip():
        if not all(one.isdecimal() for one in shares):
            raise ApiRefusal(
                400, None, f"{given['canary']!r} are not steps; give shares like 20, 60"
            )
        order["canary"] = [int(one) for one in shares]
        try:
            order["soak_seconds"] = read_duration(given["soak"] or "1h").total_seconds()
        except ValueError as problem:
            raise ApiRefusal(400, None, str(problem)) from None
        least = given["least"] or "1"
        if not least.isdecimal():
            raise ApiRefusal(400, None, f"{least!r} is not a number of callbacks")
        order["least"] = int(least)
        order["wait_seconds"] = order["soak_seconds"]
    return order


def _steps_in_words(given: Mapping[str, str]) -> str:
    if not given["canary"].strip():
        return "All at once: nothing is watched in between."
    steps = ", then up to ".join(
        f"{one.strip().removesuffix('%')} %" for one in given["canary"].split(",")
    )
    return (
        f"Up to {steps}, then all. After each step, its deliveries are watched for"
        f" {given['soak'] or '1h'}; a receiver that delivers worse than before goes back."
    )


async def _lines(visit: Visit, plan_id: str) -> list[str]:
    """Return the lines of a plan, from its journal."""
    lines, after = list[str](), 0
    while True:
        page = await visit.api.get(
            "plans", plan_id, "journal", query={"After": str(after)}, account_sid=_owner(visit)
        )
        for text in page["lines"]:
            line = json.loads(text)
            if line.get("ringback_journal") == "plan":
                lines = line["lines"] if line["is_first"] else lines + line["lines"]
        if not page["lines"]:
            return lines
        after = page["last"]


def _bar(plan: JsonObject) -> Markup:
    counts = plan["counts"]
    parts = [(look, counts.get(state, 0)) for state, look, _ in _STATES]
    said = ", ".join(
        f"{counts[state]:,} {words}" for state, _, words in _STATES if counts.get(state)
    )
    return pictures.stacked(parts, label=f"{counted(plan['edits'], 'URL')}: {said}")


def _compared(one: JsonObject) -> dict[str, Any]:
    """Return a URL with its deliveries before and since its move, in words and as a picture."""
    before, since = one["before"], one["since"]
    return {
        **one,
        "before_words": share(before["delivered"], before["total"]) if before else "",
        "since_words": share(since["delivered"], since["total"]) if since else "",
        "picture": pictures.before_and_since(_part(before), _part(since)),
    }


def _part(found: JsonObject | None) -> float | None:
    return found["delivered"] / found["total"] if found and found["total"] else None


def _command(given: Mapping[str, str]) -> str:
    if not given["to"]:
        return "ringback migrate plan --help"
    parts = [f"ringback migrate plan move.plan --to {given['to']}"]
    parts += [f"--select 'url={given['prefix']}*'"] if given["prefix"] else []
    return " ".join(parts)
