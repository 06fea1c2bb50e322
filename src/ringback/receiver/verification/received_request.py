"""A request as the receiver got it, and the same request as the sender recorded it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

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
        """The parameters, decoded and in order: from the query of a GET, else from the body.

        A JSON body has parameters if it is an object whose values are all strings.
        """
        if self.method == "GET":
            return read_form(self.query)
        return read_json(self.body) if self.is_json else read_form(self.body)

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


AnyHeaders = (
    Mapping[str, str]
    | Iterable[tuple[str, str]]
    | Mapping[bytes, bytes]
    | Iterable[tuple[bytes, bytes]]
)


def read_request(
    method: str, headers: AnyHeaders, body: bytes, *, target: str = ""
) -> ReceivedRequest:
    """Return a ReceivedRequest made from the method, headers, body and target of any framework."""
    # `isinstance(headers, Mapping)` would take as long as reading all the headers.
    items: Callable[[], Iterable[Any]] | None = getattr(headers, "items", None)
    pairs: tuple[Any, ...] = tuple(headers if items is None else items())
    if pairs and isinstance(pairs[0][0], bytes):
        pairs = tuple((_as_text(name), _as_text(value)) for name, value in pairs)
    return ReceivedRequest(method, target, pairs, body)


def _as_text(of: str | bytes) -> str:
    return of.decode("latin-1") if isinstance(of, bytes) else of


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


class _Members(list[tuple[str, Any]]):
    """The members of a JSON object, in order, with those whose name repeats."""


def read_json(body: bytes) -> list[tuple[str, str]]:
    """Return the members of a JSON object whose values are all strings, or else nothing.

    A source of the settings may send a callback's parameters so. Never raises.

    >>> read_json(b'{"a": "1", "b": ""}'), read_json(b'{"a": 1}'), read_json(b'["a"]')
    ([('a', '1'), ('b', '')], [], [])
    """
    import json  # noqa: PLC0415 (most receivers get forms only)

    try:
        found: Any = json.loads(body, object_pairs_hook=_Members)
    except (ValueError, RecursionError):
        return []
    is_flat = isinstance(found, _Members) and all(isinstance(value, str) for _, value in found)
    return list(found) if is_flat else []
