"""One callback: why its source, its attempts with their exact requests, and what can be done."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from markupsafe import Markup
from starlette.responses import Response

from ringback.console.access import PATH
from ringback.console.api_caller import ApiRefusal, JsonObject
from ringback.console.formats import (
    clock_time,
    duration,
    event_words,
    full_time,
    milliseconds,
    until,
)
from ringback.console.pictures import TimedStep, timing_bar
from ringback.console.visit import PageHandlers, Visit
from ringback.core.calendar import DAY, exact
from ringback.core.callbacks.curl_command import curl_command
from ringback.core.http.outcome import NEVER_SENT

EVERY: Final = 2
_STEPS: Final = (
    ("look_up_ms", "look-up", "f-edge"),
    ("connect_ms", "connect", "f-ink"),
    ("tls_ms", "TLS", "f-line2"),
    ("first_byte_ms", "first byte", "f-muted"),
)
"""The steps of an attempt: the field of the API, its name, and its colour."""
_NAMES: Final = {field: name for field, name, _ in _STEPS}
_FAILS_IN: Final = {
    **dict.fromkeys(("name", "guard"), "look_up_ms"),
    **dict.fromkeys(("connect", "connect_timeout", "egress", "proxy"), "connect_ms"),
    **dict.fromkeys(
        ("tls", "certificate_name", "certificate_expired", "certificate_untrusted"), "tls_ms"
    ),
    **dict.fromkeys(
        ("read_timeout", "total_timeout", "closed", "protocol", "stale"), "first_byte_ms"
    ),
}
"""The step in which an attempt failed, by the name of the failure."""
_LEAST: Final = 3
"""A receiver refuses everything from a source if that many attempts failed, and none did not."""


async def show(visit: Visit) -> Response:
    """Show a callback."""
    sid = visit.request.path_params["sid"]
    values, is_part = await values_of(visit, sid), "hx-request" in visit.request.headers
    if not is_part:
        values["trouble"] = await _trouble(visit, values["callback"])
    return await visit.page("callback.html", **values)


async def values_of(visit: Visit, sid: str) -> dict[str, Any]:
    """Return the values that the page shows of a callback to everybody who may read it."""
    callback, attempts, explanation = await asyncio.gather(
        visit.api.get("callbacks", sid),
        visit.api.get("callbacks", sid, "attempts"),
        visit.api.get("callbacks", sid, "explanation"),
    )
    name, status = event_words(callback)
    return {
        "title": f"{name} {status}".strip(),
        "every": EVERY,
        "callback": callback,
        "explanation": explanation,
        "rounds": _rounds(explanation["rounds"], callback, visit.now),
        "other": _other(callback["source"]),
        "attempts": list(_attempts(attempts["attempts"])),
        "scale": _scale(attempts["attempts"]),
        "trouble": None,
        "curl": _curl(attempts["attempts"]),
        "is_ended": callback["status"] != "scheduled",
        "may_discard": callback["status"] in ("scheduled", "failed"),
        "steps": _STEPS,
        "never_sent": NEVER_SENT,
    }


async def replay(visit: Visit) -> Response:
    """Send the callback again, or a new one from the other source."""
    sid, form = visit.request.path_params["sid"], await visit.form()
    here, as_other = f"{PATH}/callbacks/{sid}", form.get("as_other") == "yes"
    try:
        again = await visit.api.post(
            "callbacks", sid, "replay", form={"AsOtherSource": "yes"} if as_other else {}
        )
    except ApiRefusal as refusal:
        return visit.refused(refusal, here)
    if not as_other:
        return visit.back(here, f"It is sent again from {again['source']}, with the same token.")
    return visit.back(
        f"{PATH}/callbacks/{again['sid']}",
        f"This new callback from {again['source']} repeats the one before, with its own token.",
        link=here,
        link_text="The one before",
    )


async def discard(visit: Visit) -> Response:
    """Discard the callback: it is not sent any more."""
    sid, form = visit.request.path_params["sid"], await visit.form()
    here = f"{PATH}/callbacks/{sid}"
    try:
        await visit.api.post("callbacks", sid, "discard", form={"Reason": form.get("reason", "")})
    except ApiRefusal as refusal:
        return visit.refused(refusal, here)
    return visit.back(here, "It is discarded: it is not sent any more, and can still be replayed.")


async def verify(visit: Visit) -> Response:
    """Check the signature of the request that was sent last, and say what was found."""
    sid = visit.request.path_params["sid"]
    here = f"{PATH}/callbacks/{sid}"
    try:
        found = await visit.api.get("callbacks", sid, "verification")
    except ApiRefusal as refusal:
        return visit.refused(refusal, here)
    return visit.back(here, _verified(found), is_bad=not found["is_right"])


def _verified(found: JsonObject) -> str:
    """Return the result of a verification in words."""
    if not found["is_right"]:
        changed = found["secret_changed"]
        since = f" The active secret was changed {full_time(changed)}." if changed else ""
        why = found["explanation"]
        return f"The signature of attempt {found['attempt']} is refused: {why}.{since}"
    secret = found["secret"]
    name = f"the {secret['kind'].replace('_', ' ')} {secret['name']!r}" if secret else "its secret"
    return (
        f"The signature of attempt {found['attempt']}, in {found['header']}, is right for {name}"
        f" and the URL {found['url']}"
    )


PAGES: Final[PageHandlers] = {
    "/callbacks/{sid}": {"GET": show},
    "/callbacks/{sid}/replay": {"POST": replay},
    "/callbacks/{sid}/discard": {"POST": discard},
    "/callbacks/{sid}/verify": {"POST": verify},
}


def _other(source: str) -> str:
    return "kore" if source == "twilio" else "twilio"


def _curl(attempts: Sequence[JsonObject]) -> str | None:
    """Return the request that was sent last as a curl command; None if none was."""
    sent = [one["request"] for one in attempts if one["request"] is not None]
    if not sent:
        return None
    last = sent[-1]
    if not last["url"].startswith(("http://", "https://")):
        return None  # It goes to a Kinesis stream.
    return curl_command(**{name: last[name] for name in ("method", "url", "headers", "body")})


async def _trouble(visit: Visit, callback: JsonObject) -> Mapping[str, Any] | None:
    """Return that the destination takes nothing from this source, but does from the other one."""
    if callback["status"] == "delivered":
        return None
    try:
        answer = await visit.api.get(
            "counters",
            query={
                "Since": exact(visit.now - DAY),
                "By": "all",
                "Split": "source",
                "Destination": callback["url"],
            },
            account_sid=callback["account_sid"],
        )
    except ApiRefusal:
        return None
    by_source = {one["source"]: one for one in answer["counters"]}
    own, other = by_source.get(callback["source"]), by_source.get(_other(callback["source"]))
    if own is None or other is None or own["delivered"] or not other["delivered"]:
        return None
    if own["is_incomplete"]:
        return None  # What was delivered may be missing.
    failures = sum(own["failures"].values())
    if failures < _LEAST:
        return None
    return {"failures": failures, "delivered": other["delivered"]}


def _rounds(
    rounds: Sequence[JsonObject], callback: JsonObject, now: datetime
) -> list[tuple[str, int, str]]:
    """Return the look, the number and the time in words of each round."""
    shown, is_next = list[tuple[str, int, str]](), True
    is_scheduled = callback["status"] == "scheduled"
    for one in rounds:
        if one["is_past"]:
            is_last = one is rounds[-1] or not rounds[rounds.index(one) + 1]["is_past"]
            is_good = is_last and callback["status"] == "delivered"
            shown.append(("" if is_good else "refused", one["number"], clock_time(one["date"])))
        elif not is_scheduled:
            break  # It has ended, so no further round comes.
        elif is_next:
            words = until(one["date"], now, units=2) or "next"
            shown.append(("next", one["number"], words))
            is_next = False
        else:
            shown.append(("", one["number"], f"{duration(one['seconds_after'] or 0)} later"))
    return shown


def _scale(attempts: Sequence[JsonObject]) -> float:
    """Return the milliseconds that the whole width of a bar stands for."""
    longest = max((one["duration_ms"] or 0.0 for one in attempts), default=0.0) or 1.0
    for step in (1, 2, 5, 10, 20, 50, 80, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000):
        if longest <= step:
            return float(step)
    return longest


def _attempts(attempts: Sequence[JsonObject]) -> Any:
    """Yield the attempts, the newest first, each with its picture and its steps in words."""
    scale = _scale(attempts)
    for one in reversed(attempts):
        yield {**one, "bar": _bar(one, scale), "steps": _in_words(one)}


def _bar(attempt: JsonObject, scale: float) -> Markup | None:
    timings = attempt["timings"]
    if timings is None:
        return None
    failing = _FAILS_IN.get(attempt["failure"] or "")
    steps = [
        TimedStep(name, "f-bad" if field == failing else look, timings[field])
        for field, name, look in _STEPS
        if timings[field] is not None
    ]
    if not steps and failing is not None:
        steps = [TimedStep(_NAMES[failing], "f-bad", timings["total_ms"])]
    said = ", ".join(f"{step.name} {milliseconds(step.milliseconds)}" for step in steps)
    return timing_bar(
        steps, scale=scale, label=f"{said}; total {milliseconds(timings['total_ms'])}"
    )


def _in_words(attempt: JsonObject) -> list[str]:
    timings, said = attempt["timings"], list[str]()
    if timings is not None:
        said += [
            f"{name} {milliseconds(timings[field])}"
            for field, name, _ in _STEPS
            if timings[field] is not None
        ]
        if timings["connect_ms"] is None and timings["first_byte_ms"] is not None:
            said.append("kept-alive connection: no look-up, no TLS")
    if attempt["local_address"]:
        said.append(f"from {attempt['local_address']}")
    if attempt["proxy"]:
        said.append(f"through {attempt['proxy']}")
    return said
