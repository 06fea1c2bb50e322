"""Links to one callback or destination, for people who can't sign in: make, list and end them."""

from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit

from starlette.responses import Response

from ringback.console.access import PATH
from ringback.console.api_caller import ApiRefusal, JsonObject
from ringback.console.formats import moment
from ringback.console.pages.destination import page_of
from ringback.console.visit import PageHandlers, Visit, local_path

LINKS: Final = f"{PATH}/links"
_ROWS: Final = 50
_LENGTHS: Final = (
    ("1", "1 day"),
    ("3", "3 days"),
    ("7", "7 days"),
    ("30", "30 days"),
    ("90", "90 days"),
)
_USUAL: Final = "7"
_SOON: Final = timedelta(days=1)


async def show(visit: Visit) -> Response:
    """Show the links, and the form that makes one."""
    return await _page(visit, visit.asked("callback"), visit.asked("destination"))


async def create(visit: Visit) -> Response:
    """Make a link, and show it this once."""
    form = await visit.form()
    callback, destination = form.get("callback", ""), form.get("destination", "")
    account = form.get("account") or None
    values = {
        "Callback": callback or None,
        "Destination": destination or None,
        "Days": form.get("days", _USUAL),
        "Note": form.get("note", "").strip() or None,
    }
    try:
        made = await visit.api.post("links", form=values, account_sid=account)
    except ApiRefusal as refusal:
        query = {"callback": callback, "destination": destination, "account": account or ""}
        asked = urlencode({name: value for name, value in query.items() if value})
        return visit.refused(refusal, f"{LINKS}?{asked}" if asked else LINKS)
    # Not by a redirect: nothing may keep the link, not even a cookie for a minute.
    return await _page(visit, callback, destination, made=made)


async def end(visit: Visit) -> Response:
    """End a link: nobody can open it any more."""
    form, sid = await visit.form(), visit.request.path_params["sid"]
    back = local_path(form.get("back", LINKS))
    try:
        await visit.api.delete("links", sid)
    except ApiRefusal as refusal:
        return visit.refused(refusal, back)
    return visit.back(back, "The link has ended: nobody can open it any more.")


PAGES: Final[PageHandlers] = {
    "/links": {"GET": show, "POST": create},
    "/links/{sid}/end": {"POST": end},
}


async def _page(
    visit: Visit, callback: str, destination: str, *, made: JsonObject | None = None
) -> Response:
    query = {"PageSize": str(_ROWS), "PageToken": visit.asked("page") or None}
    answer = await visit.api.get("links", query=query, account_sid=visit.account_sid)
    return await visit.page(
        "links.html",
        title="Links",
        links=[_row(one, visit.now) for one in answer["links"]],
        next_page=_page_token(visit, answer["meta"]["next_page_url"]),
        previous_page=_page_token(visit, answer["meta"]["previous_page_url"]),
        callback=callback,
        destination=destination,
        lengths=_LENGTHS,
        usual=_USUAL,
        made=None if made is None else _row(made, visit.now),
        address=None if made is None else _address(visit, made["token"]),
    )


def _address(visit: Visit, token: str) -> str:
    url = visit.request.url
    return f"{url.scheme}://{url.netloc}{LINKS}/{token}"


def _row(link: JsonObject, now: datetime) -> dict[str, Any]:
    is_callback = link["kind"] == "callback"
    subject, account_sid = link["subject"], link["account_sid"]
    expires = moment(link["date_expires"]) or now
    page = f"{PATH}/callbacks/{subject}" if is_callback else page_of(subject, account_sid)
    is_active = link["state"] == "active"
    return {
        **link,
        "page": page,
        "is_active": is_active,
        "ends_soon": is_active and expires - now < _SOON,
    }


def _page_token(visit: Visit, url: str | None) -> str | None:
    if url is None:
        return None
    token = parse_qs(urlsplit(url).query).get("PageToken", [""])[0]
    return visit.with_query(page=token)
