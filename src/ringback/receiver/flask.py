"""Callbacks in views of Flask.

def receive():
    answer = callbacks.handle(request_of(request), work)
    return answer.text, answer.status, answer.headers
"""

from collections.abc import Mapping
from typing import Any, Protocol

from ringback.receiver import wsgi
from ringback.receiver.verification import ReceivedRequest


class FlaskRequestLike(Protocol):
    """What is needed of `flask.request`, or of any request of Werkzeug's."""

    @property
    def environ(self) -> Mapping[str, Any]:
        """What the server tells of the request."""
        ...

    @property
    def content_length(self) -> int | None:
        """How long the body is by its header."""
        ...

    def get_data(self) -> bytes:
        """Return the body as it came."""
        ...


def request_of(request: FlaskRequestLike) -> ReceivedRequest:
    """Return the request as it came.

    Raises RuntimeError where its form was read before, which leaves no body to be checked.
    """
    body = request.get_data()
    if not body and request.content_length:
        raise RuntimeError(
            "the request's form was read before its body, and is all that is left of it:"
            " call request_of first, or request.get_data() in whatever reads the form"
        )
    return wsgi.request_of(request.environ, body)
