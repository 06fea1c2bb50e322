"""An account's secrets: webhook secrets, Auth Tokens and API keys. Values are shown only once."""

import asyncio
import shlex
from collections.abc import Sequence
from typing import Final

from starlette.responses import RedirectResponse, Response

from ringback.console.access import PATH
from ringback.console.api_caller import SECRETS, ApiRefusal, JsonObject
from ringback.console.pages.account_choice import account_of, ask_for_account
from ringback.console.pages.callbacks import page_of
from ringback.console.rehearsals import Rehearsal, last_rehearsal
from ringback.console.visit import PageHandler, PageHandlers, Visit
from ringback.core.accounts.account import ApiKeyRole
from ringback.core.counted import counted
from ringback.core.events.event_kinds import TEST_EVENT
from ringback.core.kore_ids import made_at

EVERY: Final = 2
_HERE: Final = "/secrets"
_MOST: Final = "1000"
ROLES: Final = (
    (ApiKeyRole.FULL.value, "full: may do all that its owner may"),
    (ApiKeyRole.READ_ONLY.value, "read only: may change nothing"),
)
"""The roles of a new API key, and what they mean."""


async def show(visit: Visit) -> Response:
    """Show the account's secrets, without their values."""
    choice = await account_of(visit)
    if choice.sid is None:
        return await ask_for_account(visit, choice, "Secrets")
    account, secrets = await asyncio.gather(
        visit.api.get("accounts", choice.sid),
        visit.api.get("secrets", account_sid=choice.sid, root=SECRETS),
    )
    by_status = {one["status"]: _with_age(one) for one in secrets["data"]}
    active, pending = by_status.get("active"), by_status.get("pending")
    rehearsal = None if pending is None else await _rehearsal(visit, choice.sid, pending["id"])
    is_part = "hx-request" in visit.request.headers
    keys = (
        None
        if is_part
        else await visit.api.get(
            "keys",
            query={"PageSize": _MOST, "PageToken": visit.asked("page") or None},
            account_sid=choice.sid,
        )
    )
    return await visit.page(
        "secrets.html",
        title="Secrets",
        every=EVERY,
        choice=choice,
        account=account,
        active=active,
        pending=pending,
        rehearsal=rehearsal,
        keys=in_order([] if keys is None else keys["keys"]),
        more_keys=keys and page_of(visit, keys["meta"]["next_page_url"]),
        roles=ROLES,
    )


def in_order(keys: Sequence[JsonObject]) -> list[JsonObject]:
    """Return API keys, the newest first, and those that have ended last."""
    newest_first = keys[::-1]
    return sorted(newest_first, key=lambda one: one["date_ended"] is not None)


def _with_age(secret: JsonObject) -> JsonObject:
    return {**secret, "date_created": made_at(secret["id"])}


async def _rehearsal(visit: Visit, account_sid: str, secret_id: str) -> Rehearsal | None:
    """Return the last rehearsal of a secret; None if there was none, or it is not stored."""
    query = {"Event": TEST_EVENT, "PageSize": _MOST}
    tests = await visit.api.get("callbacks", query=query, account_sid=account_sid)
    return last_rehearsal(tests["callbacks"], secret_id)


async def create(visit: Visit) -> Response:
    """Create a webhook secret, and show its value, this once."""
    choice = await account_of(visit)
    form = await visit.form()
    try:
        made = await visit.api.send_json(
            "POST",
            "secrets",
            body={"Name": form.get("name", "")},
            account_sid=choice.sid,
            root=SECRETS,
        )
    except ApiRefusal as refusal:
        return visit.refused(refusal, choice.at(_HERE))
    is_pending = made["status"] == "pending"
    return await show_once(
        visit,
        title="New webhook secret",
        values={"Secret": made["secret"]},
        facts={"Name": made["name"], "Id": made["id"], "Status": made["status"]},
        after=(
            "It signs nothing until it is activated. Let your receivers accept it too, then"
            " rehearse and activate it."
            if is_pending
            else "It signs the callbacks from KORE's infrastructure from now on."
        ),
        back=choice.at(_HERE),
        command=f"ringback secrets create {shlex.quote(made['name'])}",
    )


async def show_once(
    visit: Visit,
    *,
    title: str,
    values: dict[str, str],
    facts: dict[str, str],
    after: str,
    back: str,
    command: str,
) -> Response:
    """Return the page that shows a new secret; it can't be asked for again."""
    return await visit.page(
        "shown_once.html",
        title=title,
        secrets=values,
        facts=facts,
        after=after,
        back=back,
        command=command,
    )


async def rename(visit: Visit) -> Response:
    """Give a webhook secret another name."""
    form = await visit.form()
    return await _change(visit, form.get("id", ""), {"Name": form.get("name", "")})


async def activate(visit: Visit) -> Response:
    """Sign KORE's callbacks with the pending secret from now on."""
    form = await visit.form()
    return await _change(visit, form.get("id", ""), {"Status": "active"})


async def _change(visit: Visit, secret_id: str, body: dict[str, str]) -> Response:
    choice = await account_of(visit)
    back = choice.at(_HERE)
    try:
        changed = await visit.api.send_json(
            "PATCH", "secrets", secret_id, body=body, account_sid=choice.sid, root=SECRETS
        )
    except ApiRefusal as refusal:
        return visit.refused(refusal, back)
    if "Name" in body:
        return visit.back(back, f"The secret is called {changed['name']} now.")
    return visit.back(
        back,
        f"{changed['name']} signs the callbacks from KORE's infrastructure from now on. The secret"
        " before it signs nothing any more.",
    )


async def rehearse(visit: Visit) -> Response:
    """Send test events with the pending secret, and forged ones, to the account's receivers."""
    choice = await account_of(visit)
    form, back = await visit.form(), choice.at(_HERE)
    url = form.get("url", "").strip()
    try:
        begun = await visit.api.post(
            "rehearsals", form={"Forgeries": "yes", "Url": url or None}, account_sid=choice.sid
        )
    except ApiRefusal as refusal:
        return visit.refused(refusal, back)
    receivers = counted(len(begun["callbacks"]), "receiver")
    return visit.back(
        back, f"Two test events are sent to {receivers}; the answers appear below as they come."
    )


async def create_token(visit: Visit) -> Response:
    """Create a secondary Auth Token, and show it, this once."""
    choice = await account_of(visit)
    sid = choice.sid or ""
    try:
        made = await visit.api.post("accounts", sid, "auth_token", "secondary")
    except ApiRefusal as refusal:
        return visit.refused(refusal, choice.at(_HERE))
    return await show_once(
        visit,
        title="New secondary Auth Token",
        values={"Auth Token": made["secondary_auth_token"]},
        facts={"Account": made["account_sid"]},
        after=(
            "Clients can sign in with it at once. It signs nothing until it is promoted: let your"
            " receivers accept it too, and then promote it."
        ),
        back=choice.at(_HERE),
        command=f"ringback accounts token create {sid}",
    )


async def promote_token(visit: Visit) -> Response:
    """Make the secondary Auth Token the primary one."""
    choice = await account_of(visit)
    back = choice.at(_HERE)
    try:
        await visit.api.post("accounts", choice.sid or "", "auth_token", "promote")
    except ApiRefusal as refusal:
        return visit.refused(refusal, back)
    return visit.back(
        back,
        "The secondary Auth Token is the primary one now, and signs the callbacks from Twilio's"
        " infrastructure. The old one is refused everywhere.",
    )


async def delete_token(visit: Visit) -> Response:
    """Delete the secondary Auth Token."""
    choice = await account_of(visit)
    back = choice.at(_HERE)
    try:
        await visit.api.delete("accounts", choice.sid or "", "auth_token", "secondary")
    except ApiRefusal as refusal:
        return visit.refused(refusal, back)
    return visit.back(back, "The secondary Auth Token is deleted: it can no longer sign in.")


async def create_key(visit: Visit) -> Response:
    """Create an API key of the account, and show its secret, this once."""
    choice = await account_of(visit)
    return await create_key_for(visit, choice.sid, choice.at(_HERE))


async def create_key_for(visit: Visit, account_sid: str | None, back: str) -> Response:
    """Create an API key of an account, or, for None, of the operator; show its secret once."""
    form = await visit.form()
    asked = {"Name": form.get("name", ""), "Role": form.get("role") or None}
    try:
        made = await visit.api.post("keys", form=asked, account_sid=account_sid)
    except ApiRefusal as refusal:
        return visit.refused(refusal, back)
    whose = "--operator" if account_sid is None else f"--account {account_sid}"
    return await show_once(
        visit,
        title="New API key",
        values={"API key": made["sid"], "Secret": made["secret"]},
        facts={
            "Name": made["name"],
            "Role": made["role"].replace("_", " "),
            "Of": made["account_sid"] or "the operator",
        },
        after="It signs in to the APIs and to this console, with its SID and its secret.",
        back=back,
        command=f"ringback accounts keys create {whose} --name {shlex.quote(made['name'])}"
        f" --role {made['role'].replace('_', '-')}",
    )


async def end_key(visit: Visit) -> Response:
    """End an API key of the account."""
    choice = await account_of(visit)
    return await end_key_and_return(visit, choice.at(_HERE))


async def end_key_and_return(visit: Visit, back: str) -> Response:
    """End an API key, and go back to a page."""
    sid = visit.request.path_params["sid"]
    try:
        await visit.api.delete("keys", sid)
    except ApiRefusal as refusal:
        return visit.refused(refusal, back)
    return visit.back(back, f"{sid} has ended: it can no longer sign in.")


async def _to_the_page(visit: Visit) -> Response:
    """Go to the page from the path of an action, where a reload or the theme may lead."""
    asked = visit.request.url.query
    return RedirectResponse(f"{PATH}{_HERE}" + (f"?{asked}" if asked else ""), status_code=303)


def _action(handler: PageHandler) -> dict[str, PageHandler]:
    return {"GET": _to_the_page, "POST": handler}


PAGES: Final[PageHandlers] = {
    _HERE: {"GET": show},
    f"{_HERE}/create": _action(create),
    f"{_HERE}/rename": _action(rename),
    f"{_HERE}/rehearse": _action(rehearse),
    f"{_HERE}/activate": _action(activate),
    f"{_HERE}/token/create": _action(create_token),
    f"{_HERE}/token/promote": _action(promote_token),
    f"{_HERE}/token/delete": _action(delete_token),
    f"{_HERE}/keys": _action(create_key),
    f"{_HERE}/keys/{{sid}}/end": _action(end_key),
}
