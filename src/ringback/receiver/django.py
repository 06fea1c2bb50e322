"""Receive callbacks in a Django view.

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
    """The attributes of a `django.http.HttpRequest` that `request_of` reads."""

    @property
    def META(self) -> Mapping[str, Any]:  # noqa: N802 (Django's name)
        """The request's headers and metadata, in the form of a WSGI environment."""
        ...

    @property
    def body(self) -> bytes:
        """The body exactly as received."""
        ...


def request_of(request: DjangoRequestLike) -> ReceivedRequest:
    """Return the Django request as a ReceivedRequest, to pass to `Receiver.handle`.

    Works under WSGI and ASGI. Django raises RawPostDataException if an upload or the request's
    stream was read before.
    """
    scope: Mapping[str, Any] | None = getattr(request, "scope", None)
    if scope is None:
        return wsgi.request_of(request.META, request.body)
    return asgi.request_of(scope, request.body)
