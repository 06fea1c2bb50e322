"""A request as its receiver got it, and the same request as its sender's record has it."""

from dataclasses import dataclass
from urllib.parse import parse_qsl

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """A request as it arrived; nothing of it is trusted or normalised."""

    method: str
    target: str
    """What stands in the request line: the path and the query, as received."""
    headers: Headers
    """In the order and the letter case in which they came, repeated names and all."""
    body: bytes = b""

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
        """What the callback tells, decoded and in order: the query of a GET, else the body."""
        return read_form(self.query if self.method == "GET" else self.body)

    @property
    def is_json(self) -> bool:
        """Whether the body is JSON, by what its sender says."""
        kinds = self.values("Content-Type")
        return any(kind.partition(";")[0].strip().lower() == "application/json" for kind in kinds)

    def values(self, name: str) -> list[str]:
        """Return the values of a header, whatever the letter case of its name."""
        return [value for given, value in self.headers if given.lower() == name.lower()]


@dataclass(frozen=True, slots=True)
class Sent:
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
    text = encoded if isinstance(encoded, str) else encoded.decode("utf-8", "replace")
    return parse_qsl(text, keep_blank_values=True)
