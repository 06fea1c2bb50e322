"""What a link opens for somebody who is not signed in: one callback, or one destination.

Only what the link is about is fetched. Nothing on the page leads elsewhere or changes anything.
"""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from ringback.api.console_access import open_shared_link
from ringback.console.access import ConsoleParts
from ringback.console.api_caller import ApiCaller
from ringback.console.dev_actions import DevActions
from ringback.console.pages import callback, destination
from ringback.console.visit import Visit
from ringback.core.accounts.shared_link import LinkKind, SharedLink


class SharedVisit(Visit):
    """A request to the page that a link opens."""

    layout = "shared.html"
    is_shared = True

    async def around(self) -> dict[str, Any]:
        """Return nothing: around the page are neither the other pages, nor the policy."""
        return {}


async def show(parts: ConsoleParts, apis: ASGIApp, request: Request) -> Response:
    """Show what a link is about.

    Raises NotFound if there is no such link, NoLongerThere if it has ended, and Forbidden if its
    account is suspended.
    """
    token = request.path_params["token"]
    # No token has other characters, and not all of them can be hashed.
    opened = await open_shared_link(parts.dependencies, token if token.isascii() else "")
    api = ApiCaller(apis, request.scope, opened.reader)
    visit = SharedVisit(request, api, now=parts.now(), dev_actions=DevActions())
    return await _page(visit, opened.link)


async def _page(visit: SharedVisit, link: SharedLink) -> Response:
    match link.kind:
        case LinkKind.CALLBACK:
            values = await callback.values_of(visit, link.subject)
            return await visit.page("callback.html", **values, link=link, sharer=_name_of(visit))
        case LinkKind.DESTINATION:
            values = await destination.values_of(visit, link.account_sid, link.subject)
            return await visit.page(
                "shared_destination.html", **values, link=link, sharer=_name_of(visit)
            )


def _name_of(visit: SharedVisit) -> str:
    """Return the name of the account that shares something."""
    account = visit.caller.account
    return "" if account is None else account.name
