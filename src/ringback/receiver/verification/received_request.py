"""A request as its receiver got it, and the same request as its sender's record has it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from ringback.core.form_encoding import decode

Headers = tuple[tuple[str, str], ...]

_FORM: Final = "application/x-www-form-urlencoded"


@dataclass(slots=True)  # not frozen, since that takes as long to make as half a check
class ReceivedRequest:
    """A request as it arrived; nothing of it is trusted or normalised."""

    method: str
    target: str
    """What stands in the request line: the path and the query, as received.

    Empty where the application doesn't hand it over.
    """
    headers: Headers
    """In the order and the letter case in which they came, repeated names and all."""
    body: bytes = b""
    _fields: Mapping[str, str] | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def fields(self) -> Mapping[str, str]:
        """The headers by their names in lower case; a repeated one is a list, as HTTP has it."""
        if self._fields is None:
            fields = {name.lower(): value for name, value in self.headers}
            if len(fields) < len(self.headers):
                fields = {name: ", ".join(self.values(name)) for name in fields}
            self._fields = fields
        return self._fields

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """What follows the first `?` of the target."""
        return self.target.partition("?")[2]

    @property
    def parameters(self) -> list[tuple[str, str]]:
        """The parameters, decoded and in order: from the query of a GET, else from the body."""
        return read_form(self.query if self.method == "GET" else self.body)

    @property
    def is_form(self) -> bool:
        """Whether the body is a form, which it is too where nothing says what it is."""
        kind = self.fields.get("content-type", _FORM)
        return kind == _FORM or _bare(kind) in ("", _FORM)

    @property
    def is_json(self) -> bool:
        """Whether the body is JSON, by what its sender says."""
        kind = _bare(self.fields.get("content-type", _FORM))
        return kind.startswith("application/") and kind.endswith(("/json", "+json"))

    def values(self, name: str) -> list[str]:
        """Return the values of a header, whatever the letter case of its name."""
        wanted = name.lower()
        return [value for given, value in self.headers if given.lower() == wanted]


def _bare(kind: str) -> str:
    return kind.partition(";")[0].strip().lower()


@dataclass(frozen=True, slots=True)
class SenderCallbackRecord:
    """A callback as its sender's record has it; the same for all of its attempts."""

    method: str
    url: str
    """The URL as it was called: with the parameters of a GET, without its fragment."""
    body: bytes = b""


def read_form(encoded: bytes | str) -> list[tuple[str, str]]:
    """Return the pairs of a form, blank values and repeated names too; never raises.

    >>> read_form(b"a=1&b=&a=%C3%A9+%ff")
    [('a', '1'), ('b', ''), ('a', 'é \ufffd')]
    """
    return decode(encoded if isinstance(encoded, str) else encoded.decode("utf-8", "replace"))
