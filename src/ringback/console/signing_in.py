"""Signing in and out, and the cookie that says who is signed in."""

from typing import Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from ringback.api.authentication import address_of
from ringback.api.console_access import sign_in_to_console, sign_out_of_console
from ringback.console.access import PATH, SAFE, ConsoleParts
from ringback.console.rendering import render_page
from ringback.console.visit import local_path, sent_form, theme_of
from ringback.core.accounts.client_credentials import Principal
from ringback.core.errors import ApiError, Forbidden, Unauthorized

_LONGEST: Final = 7 * 86400
"""Seconds after which a browser forgets a session, however often it is used."""


def cookie_name(request: Request) -> str:
    """Return the name of the session's cookie; servers at other ports have other sessions."""
    _, _, port = request.headers.get("host", "").rpartition(":")
    return f"ringback_session_{port}" if port.isdecimal() else "ringback_session"


class SigningIn:
    """The pages for signing in and out."""

    def __init__(self, parts: ConsoleParts) -> None:
        self._parts = parts

    async def caller(self, request: Request) -> Principal:
        """Return the client that is signed in.

        Raises Unauthorized, or Forbidden for a suspended account.
        """
        token = request.cookies.get(cookie_name(request))
        if not token:
            raise Unauthorized("sign in first")
        return await self._parts.dependencies.authenticator.session_caller(
            token, address_of(request)
        )

    async def show(self, request: Request) -> Response:
        """Show the form, or sign in by the link of `ringback dev`."""
        key, dev = request.query_params.get("key"), self._parts.dev
        after = request.query_params.get("next", "")
        if key is None or dev is None:
            return self._form(request, next_path=after)
        if not dev.opens_with(key):
            return self._form(
                request,
                wrong="This link is not of this server: open the one in the banner of"
                " `ringback dev`, as it is now.",
                status=401,
            )
        return await self._begin(
            request, dev.operator_key_sid, dev.operator_key_secret, local_path(after)
        )

    async def sign_in(self, request: Request) -> Response:
        """Check what was typed, and begin a session."""
        form = await sent_form(request)
        username, password = (form.get(name, "").strip() for name in ("user", "password"))
        after = form.get("next", "")
        if not username or not password:
            return self._form(
                request,
                username=username,
                next_path=after,
                wrong="Type both: a SID, and its secret.",
                status=400,
            )
        try:
            return await self._begin(request, username, password, local_path(after))
        except ApiError as refusal:
            return self._form(
                request,
                username=username,
                next_path=after,
                wrong=_in_words(refusal),
                status=refusal.status,
            )

    async def sign_out(self, request: Request) -> Response:
        """End the session."""
        token = request.cookies.get(cookie_name(request))
        if token:
            await sign_out_of_console(self._parts.dependencies, token, address_of(request))
        response = RedirectResponse(f"{PATH}/sign-in", status_code=303)
        response.delete_cookie(cookie_name(request), path=PATH)
        return response

    async def _begin(self, request: Request, username: str, password: str, after: str) -> Response:
        begun = await sign_in_to_console(
            self._parts.dependencies, username, password, address_of(request)
        )
        response = RedirectResponse(after, status_code=303)
        response.set_cookie(
            cookie_name(request),
            begun.token,
            max_age=_LONGEST,
            path=PATH,
            httponly=True,
            samesite="lax",
            secure=request.url.scheme == "https",
        )
        return response

    def _form(
        self,
        request: Request,
        *,
        username: str = "",
        next_path: str = "",
        wrong: str = "",
        status: int = 200,
    ) -> Response:
        values = {
            "title": "Sign in",
            "username": username,
            "next": next_path,
            "wrong": wrong,
            "is_dev": self._parts.dev is not None,
            "theme": theme_of(request),
        }
        return Response(render_page("sign_in.html", values), status, media_type="text/html")


def to_sign_in(request: Request) -> Response:
    """Return a redirect to the form, which then leads back to the page that was asked for."""
    here = request.scope["path"]
    query = request.url.query if request.method in SAFE else ""
    after = local_path(f"{here}?{query}" if query else here)
    if request.method not in SAFE:
        after = local_path(request.headers.get("referer", ""))
    response = RedirectResponse(f"{PATH}/sign-in?{urlencode({'next': after})}", status_code=303)
    if "hx-request" in request.headers:
        # A part of a page can't show the form: the whole page goes there.
        response = Response(status_code=204, headers={"HX-Redirect": response.headers["location"]})
    return response


def _in_words(refusal: ApiError) -> str:
    match refusal:
        case Unauthorized():
            return (
                "These credentials are wrong. After 20 wrong ones within a minute, the next are"
                " refused for a while."
            )
        case Forbidden():
            return refusal.message[:1].upper() + refusal.message[1:] + "."
        case _:
            return refusal.message
