"""Callbacks in views of Django.

@csrf_exempt
def receive(request):
    answer = callbacks.handle(request_of(request), work)
    return HttpResponse(answer.text, status=answer.status, headers=answer.headers)
"""

from collections.abc import Mapping
from typing import Any, Protocol

from ringback.receiver import asgi, wsgi
from ringback.receiver.verification import ReceivedRequest


class DjangoRequestLike(Protocol):
    """What is needed of `django.http.HttpRequest`."""

    @property
    def META(self) -> Mapping[str, Any]:  # noqa: N802 (Django's name)
        """What the server tells of the request."""
        ...

    @property
    def body(self) -> bytes:
        """The body as it came."""
        ...


def request_of(request: DjangoRequestLike) -> ReceivedRequest:
    """Return the request as it came, under WSGI or ASGI.

    Where an upload or a stream was read from it before, Django raises RawPostDataException.
    """
    scope: Mapping[str, Any] | None = getattr(request, "scope", None)
    if scope is None:
        return wsgi.request_of(request.META, request.body)
    return asgi.request_of(scope, request.body)
