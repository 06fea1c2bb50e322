"""The URLs of a receiver, as they are configured at the senders.

A sender signs the URL that it is configured with, even if a proxy changes it on the way. So the
receiver is configured with the same URL. From the request, it takes only the parameters that the
sender has added.
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
from ringback.core.sources.signature import BODY_HASH, body_hash
from ringback.receiver.verification.called_url import CalledUrlSpellings, SplitUrl, without_port
from ringback.receiver.verification.received_request import ReceivedRequest, is_form, read_form
from ringback.receiver.verification.signature_candidates import ReceiverSecrets
from ringback.receiver.verification.signature_headers import SignatureClaim
from ringback.receiver.verification.verdict import Reason, Rejected

_PLACEHOLDER: Final = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_IN_HOST: Final = r"[A-Za-z0-9_-]+"
_IN_PATH: Final = r"[^/?#]+"


class ConfiguredReceiverUrl:
    """A receiver's URL as it is configured; finds the URL that the sender of a request signed."""

    def __init__(self, text: str, secrets: ReceiverSecrets) -> None:
        """Parse a URL as it is configured at the sender, with its fragment.

        Raises InvalidCallbackUrl, whose message names the part that is wrong.
        """
        url = CallbackUrl.parse(text)
        self.text = url.wire
        """The URL without fragment and credentials."""
        self._query = url.query or ""
        self._begins = f"{self._query}&" if self._query else ""
        self._called = CalledUrlSpellings.of(url.shown, secrets)
        self._target = f"{url.path or '/'}?{self._query}".removesuffix("?")

    def called_by(
        self, claim: SignatureClaim, method: str, target: str, body: bytes
    ) -> CalledUrlSpellings | Rejected:
        """Return the URL that the sender called, or Rejected if the request's query doesn't fit."""
        if target == self._target:  # the usual POST, unless a proxy changes its path
            return self._called
        if not target:
            return self._untold(claim, method, body)
        query = target.partition("?")[2]
        if query == self._query:
            return self._called
        if query.startswith(self._begins):
            added = query[len(self._begins) :]
        elif (rewritten := self._added_to(query)) is not None:
            added = rewritten
        else:
            return self._differs(query)
        if added and not _may_add(added, claim, method):
            return self._differs(query)
        return self._with_query(query) if added else self._called

    def _added_to(self, query: str) -> str | None:
        """Return the part of a query that the sender added to the configured query.

        Returns None if the query doesn't begin with the configured one. A proxy may have re-encoded
        the query.
        """
        given, configured = read_form(query), read_form(self._query)
        added = given[len(configured) :]
        return encode(added) if given[: len(configured)] == configured else None

    def _untold(
        self, claim: SignatureClaim, method: str, body: bytes
    ) -> CalledUrlSpellings | Rejected:
        scheme, _, _, content_type = claim
        if method == "GET":
            return Rejected(
                Reason.NO_TARGET,
                "a GET has its parameters in its URL, but the application didn't pass the"
                " request's target",
            )
        if scheme.source is Source.TWILIO and body and not is_form(content_type):
            return self._with_query(f"{self._begins}{BODY_HASH}={body_hash(body)}")
        return self._called

    def _differs(self, query: str) -> Rejected:
        return Rejected(
            Reason.URL_DIFFERS,
            f"it came with the query {query!r}, but this receiver's URL has {self._query!r}",
        )

    def _with_query(self, query: str) -> CalledUrlSpellings:
        return CalledUrlSpellings(self._called.resource, f"?{query}")


def _may_add(added: str, claim: SignatureClaim, method: str) -> bool:
    """Return True if a source may have added these parameters to the URL.

    Sources add all parameters to the URL of a GET. To the URL of a POST, only Twilio adds one: the
    hash of the body.
    """
    if method == "GET":
        return True
    is_hash = added.startswith(f"{BODY_HASH}=") and "&" not in added
    return is_hash and claim[0].source is Source.TWILIO


@dataclass(frozen=True, slots=True)
class UrlTemplateMatch:
    """The receiver's URL that matches a request, and the values of the URL's placeholders."""

    url: ConfiguredReceiverUrl
    values: Mapping[str, str] = field(default_factory=dict[str, str])
    """The values of the URL's placeholders by their names; empty if it has none."""


FindUrl = Callable[[ReceivedRequest], UrlTemplateMatch | None]


def read_urls(
    given: str | Callable[[ReceivedRequest], str | None], secrets: ReceiverSecrets
) -> tuple[UrlTemplateMatch | None, FindUrl]:
    """Return the URL of every request, if there is only one, and a function that finds it.

    `given` is a URL, a template or a function; `secrets` sign the callbacks to all of its URLs.
    Raises InvalidCallbackUrl if the given URL or template is invalid. The returned function raises
    InvalidCallbackUrl if the given function returns an invalid URL.
    """
    if callable(given):
        return None, _by_function(given, secrets)
    if _PLACEHOLDER.search(given):
        return None, _Template(given, secrets).find
    only = UrlTemplateMatch(ConfiguredReceiverUrl(given, secrets))
    return only, lambda _: only


def _by_function(
    function: Callable[[ReceivedRequest], str | None], secrets: ReceiverSecrets
) -> FindUrl:
    @lru_cache(maxsize=1024)
    def read(text: str) -> ConfiguredReceiverUrl:
        return ConfiguredReceiverUrl(text, secrets)

    def find(request: ReceivedRequest) -> UrlTemplateMatch | None:
        text = function(request)
        return None if text is None else UrlTemplateMatch(read(text))

    return find


class _Template:
    """A URL with placeholders in its host or path, such as `https://a.example/{tenant}/in`."""

    def __init__(self, text: str, secrets: ReceiverSecrets) -> None:
        ConfiguredReceiverUrl(_PLACEHOLDER.sub("x", text), secrets)
        self._text = text
        self._secrets = secrets
        self._split = SplitUrl.of(text)
        self._check()
        host, path = without_port(self._split.authority), self._split.path
        self._host = _pattern(host, _IN_HOST) if _PLACEHOLDER.search(host) else None
        self._path = _pattern(path or "/", _IN_PATH)

    def _check(self) -> None:
        places = _PLACEHOLDER.findall(self._split.authority + self._split.path)
        if len(places) < len(_PLACEHOLDER.findall(self._text)):
            raise InvalidCallbackUrl(
                f"{self._text!r}: a placeholder like {{tenant}} may only be in the host or the"
                " path; KORE does not sign the query, so anybody could change the value there"
            )
        if len(places) > len(set(places)):
            raise InvalidCallbackUrl(
                f"{self._text!r}: two placeholders have the same name; give each its own"
            )
        if self._has_open_end():
            raise InvalidCallbackUrl(
                f"{self._text!r}: there must be a / after the last placeholder; no signature marks"
                " where the URL ends and the body begins, so a callback for /ab could be sent to /a"
            )

    def _has_open_end(self) -> bool:
        """Return True if nothing separates the last placeholder's value from the signed body."""
        _, *after = _PLACEHOLDER.split(self._split.path)
        if after:
            return "/" not in after[-1]
        _, *after = _PLACEHOLDER.split(self._split.authority + self._split.path)
        return not set(after[-1]) & set(".:/")

    def find(self, request: ReceivedRequest) -> UrlTemplateMatch | None:
        """Return the URL, its placeholders filled from the request; None if the two don't match."""
        values: dict[str, str] = {}
        for pattern, text in ((self._host, _host_of(request)), (self._path, request.path)):
            if pattern is None:
                continue
            if (match := pattern.fullmatch(text)) is None:
                return None
            values |= match.groupdict()
        filled = _PLACEHOLDER.sub(lambda place: values[place[1]], self._text)
        try:
            return UrlTemplateMatch(ConfiguredReceiverUrl(filled, self._secrets), values)
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
