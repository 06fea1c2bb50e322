"""One callback as two sources send it, header by header, and how each signature is computed."""

from typing import Any, Final

from starlette.responses import Response

from ringback.console.api_caller import ApiRefusal, JsonObject
from ringback.console.formats import event_words
from ringback.console.visit import PageHandlers, Visit

_SAME: Final = "same"


async def show(visit: Visit) -> Response:
    """Show a callback's request beside the other source's; without a callback, the notice's."""
    sid, other = visit.asked("callback"), visit.asked("other")
    callback, wrong = None, ""
    try:
        if sid:
            callback = await visit.api.get("callbacks", sid)
            comparison = await visit.api.get(
                "callbacks", sid, "comparison", query={"Other": other or None}
            )
        else:
            comparison = await visit.api.get("example_comparison", account_sid=visit.account_sid)
    except ApiRefusal as refusal:
        comparison, wrong = None, refusal.message
    return await visit.page(
        "side_by_side.html",
        title="Side by side",
        callback=callback,
        name=" ".join(event_words(callback)).strip() if callback else "",
        sid=sid,
        other=other,
        wrong=wrong,
        comparison=comparison,
        rows=[] if comparison is None else _rows(comparison),
        about=None if comparison is None else _about(comparison),
    )


PAGES: Final[PageHandlers] = {"/side-by-side": {"GET": show}}


def _rows(comparison: JsonObject) -> list[dict[str, Any]]:
    """Return the rows of the table: the request line, each header, and the body."""
    first, second = comparison["first"], comparison["second"]
    rows = [_row("Request line", first["request_line"], second["request_line"])]
    for pair in comparison["headers"]:
        left, right = pair["first"], pair["second"]
        if left is not None and right is not None and left["name"] == right["name"]:
            rows.append(_row(left["name"], _value(left), _value(right)))
            continue
        # Of the same purpose, but with other names: each is a row of its own, only from one source.
        if left is not None:
            rows.append(_row(left["name"], _value(left), None))
        if right is not None:
            rows.append(_row(right["name"], None, _value(right)))
    return [*rows, _row("Body", first["body"], second["body"])]


def _value(header: JsonObject) -> str:
    return header["value"] if header["value"] is not None else header["note"] or ""


def _row(name: str, first: str | None, second: str | None) -> dict[str, Any]:
    looks = {first is None or second is None: "only", first == second: _SAME}
    return {"name": name, "look": looks.get(True, "differs"), "first": first, "second": second}


def _about(comparison: JsonObject) -> dict[str, int]:
    rows = _rows(comparison)
    return {look: sum(row["look"] == look for row in rows) for look in ("differs", "only", _SAME)}
