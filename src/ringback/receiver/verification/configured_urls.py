"""The URLs of a receiver, as its senders are configured with them.

A sender signs the URL that it was configured with, whatever proxies make of it on the way. So the
receiver is told that URL, and of a request it takes only what the sender added to it.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.errors import InvalidCallbackUrl
from ringback.core.form_encoding import encode
from ringback.core.policy.source_policy import Source
from ringback.receiver.verification.body_variants import HASH_PARAMETER, hash_of
from ringback.receiver.verification.called_url import CalledUrlSpellings, SplitUrl, without_port
from ringback.receiver.verification.received_request import ReceivedRequest, read_form
from ringback.receiver.verification.signature_headers import UnverifiedSignature
from ringback.receiver.verification.verdict import Reason, Rejected

_PLACEHOLDER: Final = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_IN_HOST: Final = r"[A-Za-z0-9_-]+"
_IN_PATH: Final = r"[^/?#]+"


class ConfiguredReceiverUrl:
    """One URL, and what a request that comes to it was called with."""

    def __init__(self, text: str) -> None:
        """Read a URL as it is configured at the sender, fragment and all.

        Raises InvalidCallbackUrl, whose message names the part that is wrong.
        """
        url = CallbackUrl.parse(text)
        self.text = url.wire
        """The URL without fragment and credentials."""
        self._query = url.query or ""
        self._begins = f"{self._query}&" if self._query else ""
        self._called = CalledUrlSpellings.of(url.shown)

    def called_by(
        self, request: ReceivedRequest, claim: UnverifiedSignature
    ) -> CalledUrlSpellings | Rejected:
        """Return the URL with what the sender has added to its query, or why it isn't this one."""
        if not request.target:
            return self._untold(request, claim)
        query = request.target.partition("?")[2]
        if query == self._query:
            return self._called
        if query.startswith(self._begins):
            added = query[len(self._begins) :]
        elif (rewritten := self._added_to(query)) is not None:
            added = rewritten
        else:
            return self._differs(claim, query)
        if added and not _may_add(added, request, claim):
            return self._differs(claim, query)
        return self._with_query(query) if added else self._called

    def _added_to(self, query: str) -> str | None:
        """Return the added part of a query, also where a proxy has encoded the query again."""
        given, configured = read_form(query), read_form(self._query)
        added = given[len(configured) :]
        return encode(added) if given[: len(configured)] == configured else None

    def _untold(
        self, request: ReceivedRequest, claim: UnverifiedSignature
    ) -> CalledUrlSpellings | Rejected:
        if request.method == "GET":
            return claim.rejected(
                Reason.NO_TARGET,
                "a GET brings its parameters in its URL, and the application didn't hand over"
                " the target that it came with",
            )
        if claim.source is Source.TWILIO and request.body and not request.is_form:
            return self._with_query(f"{self._begins}{HASH_PARAMETER}={hash_of(request.body)}")
        return self._called

    def _differs(self, claim: UnverifiedSignature, query: str) -> Rejected:
        return claim.rejected(
            Reason.URL_DIFFERS,
            f"it came with the query {query!r}, and this receiver's URL has {self._query!r}",
        )

    def _with_query(self, query: str) -> CalledUrlSpellings:
        return CalledUrlSpellings(self._called.resource, f"?{query}")


def _may_add(added: str, request: ReceivedRequest, claim: UnverifiedSignature) -> bool:
    """Whether a sender adds such parameters to the URL; more of them only come with a GET."""
    if request.method == "GET":
        return True
    is_hash = added.startswith(f"{HASH_PARAMETER}=") and "&" not in added
    return is_hash and claim.source is Source.TWILIO


@dataclass(frozen=True, slots=True)
class UrlTemplateMatch:
    """The URL at which a request came in."""

    url: ConfiguredReceiverUrl
    values: Mapping[str, str] = field(default_factory=dict[str, str])
    """The values of the placeholders in the receiver's URL."""


FindUrl = Callable[[ReceivedRequest], UrlTemplateMatch | None]


def read_urls(given: str | Callable[[ReceivedRequest], str | None]) -> FindUrl:
    """Return the function that finds the URL of a request, for a URL, a template or a function.

    Raises InvalidCallbackUrl for a URL or a template that can't be one; so does the function that
    is returned, where the given one gives such a URL.
    """
    if callable(given):
        return _by_function(given)
    if _PLACEHOLDER.search(given):
        return _Template(given).find
    found = UrlTemplateMatch(ConfiguredReceiverUrl(given))
    return lambda _: found


def _by_function(function: Callable[[ReceivedRequest], str | None]) -> FindUrl:
    read = lru_cache(maxsize=1024)(ConfiguredReceiverUrl)

    def find(request: ReceivedRequest) -> UrlTemplateMatch | None:
        text = function(request)
        return None if text is None else UrlTemplateMatch(read(text))

    return find


class _Template:
    """A URL with open places in its host or its path, such as `https://a.example/{tenant}/in`."""

    def __init__(self, text: str) -> None:
        ConfiguredReceiverUrl(_PLACEHOLDER.sub("x", text))
        self._text = text
        self._split = SplitUrl.of(text)
        self._check()
        host, path = without_port(self._split.authority), self._split.path
        self._host = _pattern(host, _IN_HOST) if _PLACEHOLDER.search(host) else None
        self._path = _pattern(path or "/", _IN_PATH)

    def _check(self) -> None:
        places = _PLACEHOLDER.findall(self._split.authority + self._split.path)
        if len(places) < len(_PLACEHOLDER.findall(self._text)):
            raise InvalidCallbackUrl(
                f"{self._text!r}: a place like {{tenant}} may be in the host or the path; KORE"
                " signs no query, so anybody could write another one there"
            )
        if len(places) > len(set(places)):
            raise InvalidCallbackUrl(f"{self._text!r}: give each place a name of its own")
        if self._has_open_end():
            raise InvalidCallbackUrl(
                f"{self._text!r}: what follows the last place must have a /; where the URL ends and"
                " the body begins is not signed, so a callback of /ab could be sent to /a"
            )

    def _has_open_end(self) -> bool:
        """Whether a value and the beginning of a body could be taken for each other."""
        _, *after = _PLACEHOLDER.split(self._split.path)
        if after:
            return "/" not in after[-1]
        _, *after = _PLACEHOLDER.split(self._split.authority + self._split.path)
        return not set(after[-1]) & set(".:/")

    def find(self, request: ReceivedRequest) -> UrlTemplateMatch | None:
        """Return the URL with this request's values, or None where it isn't of this form."""
        values: dict[str, str] = {}
        for pattern, text in ((self._host, _host_of(request)), (self._path, request.path)):
            if pattern is None:
                continue
            if (match := pattern.fullmatch(text)) is None:
                return None
            values |= match.groupdict()
        filled = _PLACEHOLDER.sub(lambda place: values[place[1]], self._text)
        try:
            return UrlTemplateMatch(ConfiguredReceiverUrl(filled), values)
        except InvalidCallbackUrl:
            return None


def _pattern(template: str, value: str) -> re.Pattern[str]:
    parts = _PLACEHOLDER.split(template)
    return re.compile(
        "".join(
            f"(?P<{part}>{value})" if index % 2 else re.escape(part)
            for index, part in enumerate(parts)
        )
    )


def _host_of(request: ReceivedRequest) -> str:
    return without_port(next(iter(request.values("Host")), ""))
