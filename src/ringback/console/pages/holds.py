"""Holding URLs or an account in one phase, and releasing them: first a preview, then the change."""

from collections.abc import Mapping
from typing import Final

from starlette.responses import Response

from ringback.console.access import PATH
from ringback.console.api_caller import ApiRefusal, JsonObject
from ringback.console.formats import long_day
from ringback.console.visit import PageHandlers, Visit

_MOVE: Final = f"{PATH}/move"
_FIELDS: Final = {"prefix": "UrlPrefix", "of": "AccountSid", "phase": "Phase", "until": "Until"}
"""The fields of the page's form, with the API's names of them."""


async def ask(visit: Visit) -> Response:
    """Show the form of a hold; when it is filled in, also what the hold would change."""
    return await _show(visit, "hold", {name: visit.asked(name) for name in _FIELDS})


async def ask_release(visit: Visit) -> Response:
    """Show what the release of a hold would change."""
    return await _show(visit, "release", {name: visit.asked(name) for name in ("prefix", "of")})


async def hold(visit: Visit) -> Response:
    """Make or change the hold."""
    changed = await _change(visit, "holds")
    if isinstance(changed, ApiRefusal):
        return visit.refused(changed, visit.here)
    form = await visit.form()
    until = f"until {long_day(form['until'])}" if form.get("until") else "without an end"
    return visit.back(
        _MOVE,
        f"{form.get('prefix') or form.get('of')} is held in phase {form.get('phase')}, {until}."
        " Release it below to undo that.",
    )


async def release(visit: Visit) -> Response:
    """Release what is held."""
    changed = await _change(visit, "holds", "release")
    if isinstance(changed, ApiRefusal):
        return visit.refused(changed, _MOVE)
    form = await visit.form()
    return visit.back(
        _MOVE,
        f"{form.get('prefix') or form.get('of')} is released: its phase follows the date again.",
    )


PAGES: Final[PageHandlers] = {
    "/move/hold": {"GET": ask, "POST": hold},
    "/move/release": {"GET": ask_release, "POST": release},
}


async def _change(visit: Visit, *path: str) -> JsonObject | ApiRefusal:
    form = await visit.form()
    given = {name: form.get(name, "") for name in _FIELDS}
    try:
        return await visit.api.post(
            "policy", *path, form={**_parameters(given), "Version": form.get("version") or None}
        )
    except ApiRefusal as refusal:
        return refusal


def _parameters(given: Mapping[str, str]) -> dict[str, str | None]:
    return {_FIELDS[name]: value or None for name, value in given.items()}


async def _show(visit: Visit, action: str, given: Mapping[str, str]) -> Response:
    policy = await visit.api.get("policy")
    preview, wrong = None, ""
    if given["prefix"] or given["of"]:
        path = ("holds",) if action == "hold" else ("holds", "release")
        try:
            preview = await visit.api.post(
                "policy", *path, form={**_parameters(given), "DryRun": "yes"}
            )
        except ApiRefusal as refusal:
            if refusal.status in (401, 403):
                raise
            wrong = refusal.message
    return await visit.page(
        "hold.html",
        title="Hold" if action == "hold" else "Release",
        action=action,
        given=given,
        phases=[(phase["name"], phase["name"]) for phase in policy["phases"]],
        preview=preview,
        wrong=wrong,
    )
