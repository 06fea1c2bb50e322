"""The routes of all pages, and the answers to errors."""

from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from ringback.api.host_routing import restore_slashes
from ringback.console.access import PATH, ConsoleParts
from ringback.console.api_caller import ApiCaller, ApiRefusal
from ringback.console.dev_actions import DevActions
from ringback.console.pages import (
    accounts,
    audit,
    callback,
    callbacks,
    destination,
    destinations,
    dev,
    holds,
    links,
    move,
    plans,
    secrets,
    shared_link,
    side_by_side,
    stream_events,
    streams,
    undelivered,
)
from ringback.console.rendering import render_page
from ringback.console.signing_in import SigningIn, to_sign_in
from ringback.console.visit import PageHandler, PageHandlers, Visit, choose_theme, theme_of
from ringback.core.errors import ApiError, StoreUnavailable, Unauthorized

_STATIC: Final = Path(__file__).parents[1] / "static"
_FILES: Final = {
    "console.css": "text/css",
    "console.js": "text/javascript",
    "htmx.min.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
_LONGEST_PATH: Final = 200
_TITLES: Final = {
    400: "This can't be done so",
    401: "Your sign-in has ended",
    403: "You may not do this",
    404: "This is not here",
    405: "This page takes no such request",
    409: "Not now",
    410: "This link has ended",
    429: "Too many requests",
    503: "The database does not answer",
}

_PAGES: Final[PageHandlers] = {
    **callbacks.PAGES,
    **callback.PAGES,
    **side_by_side.PAGES,
    **undelivered.PAGES,
    **destinations.PAGES,
    **destination.PAGES,
    **streams.PAGES,
    **stream_events.PAGES,
    **links.PAGES,
    **secrets.PAGES,
    **accounts.PAGES,
    **audit.PAGES,
    **dev.PAGES,
    **move.PAGES,
    **holds.PAGES,
    **plans.PAGES,
}
"""The handlers of the pages, by path and method."""


def pages_app(parts: ConsoleParts) -> Starlette:
    """Return the application with all pages."""
    signing_in, dev_actions = SigningIn(parts), DevActions()

    def visited(handlers: Mapping[str, PageHandler]) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            _begin(parts, request)
            visit = Visit(
                request,
                ApiCaller(_apis(parts), request.scope, await signing_in.caller(request)),
                now=parts.now(),
                dev=parts.dev,
                dev_actions=dev_actions,
            )
            method = "GET" if request.method == "HEAD" else request.method
            return await handlers[method](visit)

        return answer

    def open_to_all(
        handler: Callable[[Request], Awaitable[Response]],
    ) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            _begin(parts, request)
            return await handler(request)

        return answer

    async def home(_: Request) -> Response:
        return RedirectResponse(f"{PATH}/callbacks", status_code=303)

    async def shared(request: Request) -> Response:
        return await shared_link.show(parts, _apis(parts), request)

    async def theme(request: Request) -> Response:
        return choose_theme(request)

    routes = [
        Route("/", open_to_all(home)),
        Route("/sign-in", open_to_all(signing_in.show), methods=["GET"]),
        Route("/sign-in", open_to_all(signing_in.sign_in), methods=["POST"]),
        Route("/sign-out", open_to_all(signing_in.sign_out), methods=["POST"]),
        Route("/theme", open_to_all(theme)),
        Route("/static/{name}", open_to_all(_static)),
        Route("/links/{token}", open_to_all(shared), methods=["GET"]),
        *(
            Route(path, visited(handlers), methods=list(handlers))
            for path, handlers in _PAGES.items()
        ),
    ]

    async def failed(request: Request, failure: Exception) -> Response:
        return _error_page(request, failure)

    # `Exception` is also logged by the server, with its traceback.
    errors = (ApiRefusal, ApiError, HTTPException, StoreUnavailable, Exception)
    app = Starlette(routes=routes, exception_handlers=dict.fromkeys(errors, failed))
    app.router.redirect_slashes = False
    return app


def _apis(parts: ConsoleParts) -> ASGIApp:
    assert parts.apis is not None  # noqa: S101 (set when the application is built)
    return parts.apis


def _begin(parts: ConsoleParts, request: Request) -> None:
    """Begin to answer a request; raises ApiRefusal if it is not to be answered at all."""
    restore_slashes(request)
    why = parts.why_not(request)
    if why is not None:
        raise ApiRefusal(403, None, why)


async def _static(request: Request) -> Response:
    name = request.path_params["name"]
    media_type = _FILES.get(name)
    if media_type is None:
        raise HTTPException(404)
    content, etag = _file(name)
    # Browsers ask each time if a file is still the same, since all versions have the same names.
    headers = {"Cache-Control": "no-cache", "ETag": etag}
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=media_type, headers=headers)


@cache
def _file(name: str) -> tuple[bytes, str]:
    """Return the content of a file, and its ETag."""
    content = (_STATIC / name).read_bytes()
    return content, f'"{blake2b(content, digest_size=12).hexdigest()}"'


def _error_page(request: Request, failure: Exception) -> Response:
    if isinstance(failure, Unauthorized) or (
        isinstance(failure, ApiRefusal) and failure.status == 401
    ):
        return to_sign_in(request)
    asked = request.scope["asked_path"][:_LONGEST_PATH]
    match failure:
        case ApiRefusal() | ApiError():
            status, code, message = failure.status, failure.code, failure.message
        case HTTPException():
            status, code, message = (failure.status_code, None, f"there is no page {asked}")
        case StoreUnavailable():
            status, code, message = 503, 20503, f"{failure}; nothing was changed, try again later"
        case _:
            status, code = 500, 20500
            message = "Ringback failed while it made this page; its log has the details"
    values = {
        "title": _TITLES.get(status, "Something went wrong"),
        "status": status,
        "code": code,
        "message": message,
        "asked": f"{request.method} {asked}",
        # Whoever has a link is not led elsewhere, and the page does not repeat the link's token.
        "is_shared": request.scope["path"].startswith(f"{links.LINKS}/"),
        "theme": theme_of(request),
    }
    return Response(render_page("error.html", values), status, media_type="text/html")
