"""Reading the requests of web frameworks, with fakes; the examples' tests use the real ones."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from ringback.receiver import django, flask, starlette
from ringback.receiver.verification import ReceivedRequest

ENVIRON = {
    "REQUEST_METHOD": "POST",
    "PATH_INFO": "/hook",
    "QUERY_STRING": "a=%7e",
    "HTTP_DATE": "now",
}
SCOPE = {
    "method": "POST",
    "path": "/hook",
    "query_string": b"a=%7e",
    "headers": [(b"Date", b"now")],
}
EXPECTED = ReceivedRequest("POST", "/hook?a=%7e", (("Date", "now"),), b"x=1")


@dataclass
class OfStarlette:
    scope: dict[str, Any] = field(default_factory=lambda: SCOPE)

    async def body(self) -> bytes:
        return b"x=1"


@dataclass
class OfFlask:
    data: bytes = b"x=1"
    content_length: int | None = 3
    environ: dict[str, Any] = field(default_factory=lambda: ENVIRON)

    def get_data(self) -> bytes:
        return self.data


@dataclass
class OfDjango:
    META: dict[str, Any] = field(default_factory=lambda: ENVIRON)
    body: bytes = b"x=1"


@dataclass
class OfDjangoUnderAsgi(OfDjango):
    scope: dict[str, Any] = field(default_factory=lambda: SCOPE)
    META: dict[str, Any] = field(default_factory=dict[str, Any])


async def test_a_request_of_starlette_is_read_from_its_scope() -> None:
    assert await starlette.request_of(OfStarlette()) == EXPECTED


def test_a_request_of_flask_is_read_from_its_environment() -> None:
    assert flask.request_of(OfFlask()) == EXPECTED


def test_a_form_that_flask_has_already_read_leaves_nothing_to_verify() -> None:
    with pytest.raises(RuntimeError, match="read before its body"):
        flask.request_of(OfFlask(data=b""))
    assert flask.request_of(OfFlask(data=b"", content_length=0)).body == b""
    assert flask.request_of(OfFlask(data=b"", content_length=None)).body == b""


@pytest.mark.parametrize("request_of_django", [OfDjango(), OfDjangoUnderAsgi()])
def test_a_request_of_django_is_read_under_both_servers(request_of_django: OfDjango) -> None:
    assert django.request_of(request_of_django) == EXPECTED
