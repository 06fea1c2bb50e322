"""A request as the receiver got it, and the same request as the sender recorded it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from ringback.core.form_encoding import decode

Headers = tuple[tuple[str, str], ...]

_FORM: Final = "application/x-www-form-urlencoded"


@dataclass(slots=True)  # not frozen: creating a frozen one takes half as long as a whole check
class ReceivedRequest:
    """A request exactly as received; nothing in it is trusted or normalised."""

    method: str
    target: str
    """The path and the query from the request line, as received.

    Empty if the application doesn't pass it.
    """
    headers: Headers
    """The headers as (name, value) pairs, in the order and letter case in which they came."""
    body: bytes = b""
    _fields: Mapping[str, str] | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def fields(self) -> Mapping[str, str]:
        """The headers by lower-case name; the values of a repeated header are joined by commas."""
        if self._fields is None:
            fields = {name.lower(): value for name, value in self.headers}
            if len(fields) < len(self.headers):
                fields = _joined(self.headers)
            self._fields = fields
        return self._fields

    @property
    def by_name(self) -> Mapping[str, str]:
        """The headers by name, spelled as they came; if a name repeats, the same as `fields`."""
        headers = dict(self.headers)
        return headers if len(headers) == len(self.headers) else self.fields

    @property
    def path(self) -> str:
        """The path: the target without its query."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """The query: the part of the target after the first `?`; empty if there is none."""
        return self.target.partition("?")[2]

    @property
    def parameters(self) -> list[tuple[str, str]]:
        """The parameters, decoded and in order: from the query of a GET, else from the body."""
        return read_form(self.query if self.method == "GET" else self.body)

    @property
    def is_form(self) -> bool:
        """True if the Content-Type says that the body is a form, or if there is no Content-Type."""
        return is_form(self.fields.get("content-type"))

    @property
    def is_json(self) -> bool:
        """True if the Content-Type says that the body is JSON."""
        return is_json(self.fields.get("content-type"))

    def values(self, name: str) -> list[str]:
        """Return the values of a header, whatever the letter case of its name."""
        wanted = name.lower()
        return [value for given, value in self.headers if given.lower() == wanted]


def _joined(headers: Headers) -> Mapping[str, str]:
    # In one pass, since anybody can send a request with thousands of headers.
    values = dict[str, list[str]]()
    for name, value in headers:
        values.setdefault(name.lower(), []).append(value)
    return {name: ", ".join(each) for name, each in values.items()}


def is_form(content_type: str | None) -> bool:
    """Return True if this Content-Type means a form, or if it is None: the header is missing.

    >>> is_form("application/x-www-form-urlencoded; charset=UTF-8"), is_form(None)
    (True, True)
    """
    return content_type in (None, _FORM) or _bare(content_type) in ("", _FORM)


def is_json(content_type: str | None) -> bool:
    """Return True if this Content-Type means JSON; it is None if the header is missing.

    >>> is_json("application/cloudevents+json"), is_json("text/json")
    (True, False)
    """
    kind = _bare(content_type or "")
    return kind.startswith("application/") and kind.endswith(("/json", "+json"))


def _bare(kind: str) -> str:
    return kind.partition(";")[0].strip().lower()


@dataclass(frozen=True, slots=True)
class SenderCallbackRecord:
    """The request of a callback as the sender recorded it; it is the same for all attempts."""

    method: str
    url: str
    """The URL that was called: including a GET's parameters, but without the fragment."""
    body: bytes = b""


def read_form(encoded: bytes | str) -> list[tuple[str, str]]:
    """Return a form's (name, value) pairs, including blank values and repeats; never raises.

    >>> read_form(b"a=1&b=&a=%C3%A9+%ff")
    [('a', '1'), ('b', ''), ('a', 'é \ufffd')]
    """
    return decode(encoded if isinstance(encoded, str) else encoded.decode("utf-8", "replace"))
