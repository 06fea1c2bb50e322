"""The accounts of a server, for the operator: what they have, how much they do, and their state."""

import asyncio
from collections.abc import Mapping
from typing import Final

from starlette.responses import RedirectResponse, Response

from ringback.console.access import PATH
from ringback.console.api_caller import ApiRefusal, JsonObject
from ringback.console.pages.callbacks import page_of
from ringback.console.pages.secrets import ROLES, create_key_for, end_key_and_return, in_order
from ringback.console.visit import PageHandlers, Visit
from ringback.core.calendar import HOUR, exact

_HERE: Final = "/accounts"
_ROWS: Final = "25"
_MOST: Final = "1000"


async def show(visit: Visit) -> Response:
    """List the accounts, oldest first."""
    _check(visit)
    listed, counts, keys = await asyncio.gather(
        visit.api.get(
            "accounts", query={"PageSize": _ROWS, "PageToken": visit.asked("page") or None}
        ),
        _last_hour(visit),
        visit.api.get("keys", query={"PageSize": _MOST}),
    )
    accounts = await asyncio.gather(
        *(visit.api.get("accounts", one["sid"]) for one in listed["accounts"])
    )
    meta = listed["meta"]
    return await visit.page(
        "accounts.html",
        title="Accounts",
        accounts=accounts,
        counts=counts,
        operators_keys=in_order([one for one in keys["keys"] if one["account_sid"] is None]),
        roles=ROLES,
        next_page=page_of(visit, meta["next_page_url"]),
        previous_page=page_of(visit, meta["previous_page_url"]),
    )


async def show_one(visit: Visit) -> Response:
    """Show one account."""
    _check(visit)
    sid = visit.request.path_params["sid"]
    account, family, counts = await asyncio.gather(
        visit.api.get("accounts", sid),
        visit.api.get("accounts", query={"PageSize": _MOST}, account_sid=sid),
        _last_hour(visit),
    )
    return await visit.page(
        "account.html",
        title=account["name"],
        account=account,
        subaccounts=[one for one in family["accounts"] if one["parent_sid"] == account["sid"]],
        last_hour=counts.get(account["sid"]),
    )


async def suspend(visit: Visit) -> Response:
    """Suspend an account, so that nobody can sign in to it."""
    return await _change(visit, "suspend", "is suspended: nobody can sign in to it.")


async def resume(visit: Visit) -> Response:
    """Let a suspended account sign in again."""
    return await _change(visit, "resume", "can sign in again.")


async def _change(visit: Visit, verb: str, done: str) -> Response:
    sid = visit.request.path_params["sid"]
    back = f"{PATH}{_HERE}/{sid}"
    try:
        account = await visit.api.post("accounts", sid, verb)
    except ApiRefusal as refusal:
        return visit.refused(refusal, back)
    return visit.back(back, f"{account['name']} {done}")


async def create_key(visit: Visit) -> Response:
    """Create an API key of the operator, and show its secret, this once."""
    _check(visit)
    return await create_key_for(visit, None, f"{PATH}{_HERE}")


async def end_key(visit: Visit) -> Response:
    """End an API key of the operator."""
    _check(visit)
    return await end_key_and_return(visit, f"{PATH}{_HERE}")


def _check(visit: Visit) -> None:
    """Raise ApiRefusal unless the operator is signed in."""
    if not visit.is_operator:
        raise ApiRefusal(
            403,
            None,
            "only the operator sees the accounts of a server; you are signed in to one of them."
            " Sign in with an operator's key, which `ringback accounts keys create --operator`"
            " makes",
        )


async def _last_hour(visit: Visit) -> Mapping[str, JsonObject]:
    """Return the counters of the last hour by account; empty if they can't be read."""
    query = {"Since": exact(visit.now - HOUR), "By": "all", "Split": "account"}
    try:
        answer = await visit.api.get("counters", query=query)
    except ApiRefusal:
        return {}
    return {one["account_sid"]: one for one in answer["counters"]}


async def _to_the_list(_: Visit) -> Response:
    return RedirectResponse(f"{PATH}{_HERE}", status_code=303)


PAGES: Final[PageHandlers] = {
    _HERE: {"GET": show},
    f"{_HERE}/keys": {"GET": _to_the_list, "POST": create_key},
    f"{_HERE}/keys/{{sid}}/end": {"POST": end_key},
    f"{_HERE}/{{sid}}": {"GET": show_one},
    f"{_HERE}/{{sid}}/suspend": {"POST": suspend},
    f"{_HERE}/{{sid}}/resume": {"POST": resume},
}
