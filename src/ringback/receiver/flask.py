"""Receive callbacks in a Flask view.

def receive():
    answer = callbacks.handle(request_of(request), work)
    return answer.text, answer.status, answer.headers
"""

from collections.abc import Mapping
from typing import Any, Protocol

from ringback.receiver import wsgi
from ringback.receiver.verification import ReceivedRequest


class FlaskRequestLike(Protocol):
    """The attributes of `flask.request`, or another Werkzeug request, that `request_of` reads."""

    @property
    def environ(self) -> Mapping[str, Any]:
        """The WSGI environment of the request."""
        ...

    @property
    def content_length(self) -> int | None:
        """The value of the Content-Length header in bytes, or None."""
        ...

    def get_data(self) -> bytes:
        """Return the body exactly as received."""
        ...


def request_of(request: FlaskRequestLike) -> ReceivedRequest:
    """Return the Flask request as a ReceivedRequest, to pass to `Receiver.handle`.

    Raises RuntimeError if the request's form was read before: this uses up the body, without which
    the signature can't be checked.
    """
    body = request.get_data()
    if not body and request.content_length:
        raise RuntimeError(
            "the request's form was read before its body, so the body is gone:"
            " call request_of first, or request.get_data() before the form is read"
        )
    return wsgi.request_of(request.environ, body)
