"""The form in which errors reach a client: code, message, more_info, status."""

import logging
from collections.abc import Mapping
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ringback.core.errors import (
    MethodNotAllowed,
    NotFound,
    Overloaded,
    RequestRefused,
    StoreUnavailable,
)

_LONGEST_PATH: Final = 200
_log = logging.getLogger(__name__)


def answer(request: Request, failure: Exception) -> Response:
    """Answer a request that ended in an error of any kind."""
    match failure:
        case RequestRefused(status=401):
            return _form(failure, {"WWW-Authenticate": 'Basic realm="Ringback"'})
        case Overloaded(retry_after=seconds):
            return _form(failure, {"Retry-After": str(seconds)})
        case RequestRefused():
            return _form(failure)
        case HTTPException():
            return _no_route(request, failure)
        case StoreUnavailable():
            _log.error("%s", failure)
            return _body(503, 20503, f"{failure}; nothing was changed, try again later")
        case _:
            return _body(500, 20500, "Ringback itself failed; its log says where")


def unreadable(why: str) -> Response:
    """Answer what is no HTTP request: a byte in its target, say, that no URL has."""
    return _body(400, 83600, f"this can't be read as an HTTP/1.1 request: {why}")


def _no_route(request: Request, failure: HTTPException) -> Response:
    """Answer where there is no such path, or no such verb on it: all that a route refuses."""
    asked = f"{request.method} {request.scope['asked_path'][:_LONGEST_PATH]}"
    if failure.status_code == 405 and failure.headers:
        allowed = failure.headers["Allow"]
        return _form(MethodNotAllowed(f"{asked}: this resource takes {allowed}"), failure.headers)
    return _form(NotFound(f"{asked}: there is no such resource"))


def _form(refusal: RequestRefused, headers: Mapping[str, str] | None = None) -> Response:
    return _body(refusal.status, refusal.code, refusal.message, headers)


def _body(
    status: int, code: int, message: str, headers: Mapping[str, str] | None = None
) -> Response:
    body = {
        "code": code,
        "message": message,
        "more_info": f"https://www.twilio.com/docs/errors/{code}",
        "status": status,
    }
    return JSONResponse(body, status, headers=headers)
