"""Turns errors into JSON responses, in the format of the API that was called."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ringback.api.host_routing import is_at_kore
from ringback.core.errors import (
    ApiError,
    BacklogFull,
    InvalidBearerToken,
    MethodNotAllowed,
    NotFound,
    QueryTimeout,
    StoreUnavailable,
)

_LONGEST_PATH: Final = 200


class _Link(NamedTuple):
    """How an API's errors link to their documentation: the field, and the beginning of the URL."""

    field: str
    place: str


_TWILIO: Final = _Link("more_info", "https://www.twilio.com/docs/errors/")
_KORE: Final = _Link("more_info", "https://docs.korewireless.com/errors/")
_KORE_INFO: Final = _KORE._replace(field="info")
_WITH_INFO: Final = ("/webhook/", "/client/")


def answer(request: Request, failure: Exception) -> Response:
    """Return the response to a request that raised an error of any kind."""
    match failure:
        case InvalidBearerToken() if is_at_kore(request):
            # Like KORE: 403, with an additional field.
            beside = {"error": "Invalid or expired token"}
            return _body(403, 20006, failure.message, _link(request), beside=beside)
        case ApiError(status=401):
            return _form(request, failure, {"WWW-Authenticate": 'Basic realm="Ringback"'})
        case BacklogFull(retry_after=seconds):
            return _form(request, failure, {"Retry-After": str(seconds)})
        case ApiError():
            return _form(request, failure)
        case HTTPException():
            return _no_route(request, failure)
        case QueryTimeout():
            return _body(503, 20503, str(failure), _link(request))
        case StoreUnavailable():
            message = f"{failure}; nothing was changed, try again later"
            return _body(503, 20503, message, _link(request))
        case _:
            return failed(_link(request))


def failed(link: _Link = _TWILIO) -> Response:
    """Return the response 500 to a request that failed because of a bug in Ringback."""
    return _body(
        500, 20500, "Ringback failed while it handled this request; its log has the details", link
    )


def unreadable(why: str, *, status: int = 400) -> Response:
    """Return the response to bytes that are not a valid HTTP request; `why` says what is wrong."""
    return _body(status, 83600, f"this can't be read as an HTTP/1.1 request: {why}", _TWILIO)


def _no_route(request: Request, failure: HTTPException) -> Response:
    """Return the response for an unknown path (404), or a known path without this method (405)."""
    asked = f"{request.method} {request.scope['asked_path'][:_LONGEST_PATH]}"
    if failure.status_code == 405 and failure.headers:
        allowed = failure.headers["Allow"]
        refusal = MethodNotAllowed(f"{asked}: this resource accepts only {allowed}")
        return _form(request, refusal, failure.headers)
    return _form(request, NotFound(f"{asked}: there is no such resource"))


def _form(
    request: Request, refusal: ApiError, headers: Mapping[str, str] | None = None
) -> Response:
    return _body(refusal.status, refusal.code, refusal.message, _link(request), headers)


def _link(request: Request) -> _Link:
    """Return the way in which errors of the requested API link to their documentation."""
    if not is_at_kore(request):
        return _TWILIO
    return _KORE_INFO if request.scope["path"].startswith(_WITH_INFO) else _KORE


def _body(
    status: int,
    code: int,
    message: str,
    link: _Link,
    headers: Mapping[str, str] | None = None,
    *,
    beside: Mapping[str, str] | None = None,
) -> Response:
    body = {
        "code": code,
        "message": message,
        link.field: f"{link.place}{code}",
        "status": status,
        **(beside or {}),
    }
    return JSONResponse(body, status, headers=headers)
