"""Compares two requests: their headers, their bodies, and how each signature is computed.

It shows what a receiver of callbacks from one source has to change before another source sends
them. This also works for sources that the settings add.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple

from ringback.core.accounts.account import Account
from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.core.callbacks.callback import CallbackRecord
from ringback.core.callbacks.rendering import render_unsent
from ringback.core.form_encoding import decode
from ringback.core.http.http_exchange import SentRequestRecord
from ringback.core.policy.source_policy import Source, SourceName
from ringback.core.sources.body_encoding import BodyEncoding, encoding_of, read_body
from ringback.core.sources.idempotency_tokens import MAX_TOKEN
from ringback.core.sources.signature import BODY_HASH
from ringback.core.sources.signature_recipe import RecipeStep, SignatureRecipe, SigningSecret
from ringback.core.sources.source_definition import (
    CallbackSourceDefinition,
    HeaderTemplate,
    SigningInput,
)

_OF_EACH_REQUEST: Final = frozenset({"host", "content-length", "date", "authorization"})
"""Headers whose values differ from request to request, whatever the source."""
_NAMED: Final = 5
"""The maximum number of parameters that a summary names."""
_EVENTS: Final = "["
"""The beginning of a body with events, a JSON array."""
_ENCODINGS: Final = {BodyEncoding.FORM: "a form", BodyEncoding.JSON: "JSON"}


class HeaderRole(StrEnum):
    """The reason why receivers need a header: it has the idempotency token or the signature."""

    IDEMPOTENCY = "token"
    SIGNATURE = "signature"


class HeaderChange(StrEnum):
    """How a header changes from the first request to the second."""

    SAME = "same"
    DIFFERS = "differs"
    RENAMED = "renamed"
    """The second request has the token or the signature in a header with another name."""
    REMOVED = "removed"
    ADDED = "added"


@dataclass(frozen=True, slots=True)
class ComparedHeader:
    """A header of one of the two requests that are compared."""

    name: str
    value: str | None
    """The header's value; None if it is known only when the request is sent."""
    note: str | None = None
    """A description of the value, if the value is not known yet."""
    role: HeaderRole | None = None
    hidden: str | None = field(default=None, repr=False)
    """The credentials that `value` leaves out; the comparison uses them, but never shows them."""

    def is_like(self, other: "ComparedHeader") -> bool:
        """Return True if the values of both headers are known and equal."""
        is_known = self.value is not None
        return is_known and (self.value, self.hidden) == (other.value, other.hidden)


class HeaderPair(NamedTuple):
    """A header of the first request and its counterpart in the second; one of them may be None."""

    change: HeaderChange
    first: ComparedHeader | None
    second: ComparedHeader | None

    @property
    def role(self) -> HeaderRole | None:
        """The reason why receivers need the header, such as its signature; None for others."""
        header = self.second or self.first
        return None if header is None else header.role


class ParameterDifference(NamedTuple):
    """A parameter with different values in the two requests."""

    name: str
    first: tuple[str, ...]
    """The values in the first request, in order; empty if the request lacks the parameter."""
    second: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ComparedRequest:
    """One of the two requests that are compared."""

    source: SourceName
    method: str
    url: str
    """The called URL, without fragment and credentials."""
    line: str
    """The request line."""
    headers: tuple[ComparedHeader, ...]
    body: str
    recipe: SignatureRecipe | None
    """The steps by which the signature is computed; None if no header has a signature."""
    secret: SigningSecret
    """The kind of secret that the request's source signs with."""
    callback_sid: str | None = None
    date_sent: datetime | None = None
    """When the request was sent; None if it was not sent."""

    @property
    def has_events(self) -> bool:
        """True if the body has events: a batch of an event stream, or a test event."""
        return self.body.startswith(_EVENTS)

    @property
    def parameters(self) -> list[tuple[str, str]]:
        """The parameters in the URL of a GET, or else in the body; there are none with events."""
        if self.has_events:
            return []
        if self.method == HttpMethod.GET:
            return decode(self.url.partition("?")[2])
        return [] if self.body_encoding is None else read_body(self.body)

    @property
    def body_encoding(self) -> BodyEncoding | None:
        """How the parameters in the body are encoded; None for a GET, and for events."""
        if self.method == HttpMethod.GET or self.has_events:
            return None
        return encoding_of(self.body)

    def header_with(self, role: HeaderRole) -> ComparedHeader | None:
        """Return the first header with this role, or None if no header has it."""
        return next((header for header in self.headers if header.role is role), None)


def compared(
    record: SentRequestRecord,
    definition: CallbackSourceDefinition,
    *,
    source: SourceName,
    open_values: Mapping[str, str] | None = None,
    credentials: str | None = None,
    callback_sid: str | None = None,
    date_sent: datetime | None = None,
) -> ComparedRequest:
    """Return a request of this source, split into the parts that are compared.

    `open_values`, from `render_unsent`, describes the values that are not known before sending.
    `credentials` are those of the callback's URL; `record` does not contain them.
    """
    templates = {template.name.lower(): template for template in definition.headers}
    headers, values = list[ComparedHeader](), dict[str, str]()
    for name, value in record.headers:
        template = templates.get(name.lower())
        known = None if template is None else template.read(value)
        if template is None or known is None:
            # Sent before the settings gave this source other headers.
            headers.append(ComparedHeader(name, value))
            continue
        role = _role_of(template)
        if set(template.placeholders) & (open_values or {}).keys():
            headers.append(ComparedHeader(name, None, value, role))
            continue
        values |= known
        hidden = credentials if "authorization" in template.placeholders else None
        headers.append(ComparedHeader(name, value, None, role, hidden))
    scheme = definition.signature
    return ComparedRequest(
        source=source,
        method=record.method,
        url=record.url,
        line=record.head.partition("\r\n")[0],
        headers=tuple(headers),
        body=record.body,
        recipe=_recipe_of(record, definition, headers, values),
        secret=SigningSecret.ACCOUNT if scheme.is_by_auth_token else SigningSecret.WEBHOOK,
        callback_sid=callback_sid,
        date_sent=date_sent,
    )


def compared_unsent(
    callback: CallbackRecord,
    definition: CallbackSourceDefinition,
    *,
    source: SourceName,
    account: Account,
    body: str | None = None,
) -> ComparedRequest:
    """Return the request that this source would send for a callback, split into compared parts.

    `body` is the body of a stream's batch as this source writes its events; None for a callback.
    The request has the callback's token only if `source` is the callback's own source; other
    sources make a new token when they send.

    Raises SecretNotFound if the account does not have the callback's secret any more.
    """
    is_own = source == callback.source
    if not is_own:
        if body is None:
            body = definition.body_of(callback.body, callback.method)
        callback = callback._replace(body=body)
        if callback.stream is not None:
            # The source decides whether the URL has a hash of the body.
            callback = callback._replace(source=source)
    request, open_values = render_unsent(callback, definition, account=account, has_token=is_own)
    return compared(
        request.recorded(),
        definition,
        source=source,
        open_values=open_values,
        credentials=callback.url.credentials,
        callback_sid=callback.sid if is_own else None,
    )


def _role_of(template: HeaderTemplate) -> HeaderRole | None:
    # A header with both is for checking the signature first.
    for role in (HeaderRole.SIGNATURE, HeaderRole.IDEMPOTENCY):
        if role in template.placeholders:
            return role
    return None


def _recipe_of(
    record: SentRequestRecord,
    definition: CallbackSourceDefinition,
    headers: Iterable[ComparedHeader],
    values: Mapping[str, str],
) -> SignatureRecipe | None:
    if all(header.role is not HeaderRole.SIGNATURE for header in headers):
        return None
    scheme, timestamp = definition.signature, values.get("timestamp", "")
    is_events = record.body.startswith(_EVENTS)
    is_form = record.method == HttpMethod.POST and scheme.covers_form and not is_events
    signed = SigningInput(
        method=record.method,
        wire=record.url,
        resource=record.url.partition("?")[0],
        form=decode(record.body) if is_form else (),
        body=record.body.encode(),
        token=values.get("token", ""),
        timestamp=int(timestamp) if timestamp.isdecimal() else 0,
    )
    recipe = scheme.recipe(signed, values.get("signature"))
    if values.get("signature") == "":
        step = RecipeStep("The account has no webhook secret, so the signature is empty", "")
        return recipe._replace(steps=(step,))
    return recipe


class RequestComparison:
    """Finds the differences between two requests, and what they mean for a receiver."""

    def __init__(self, first: ComparedRequest, second: ComparedRequest) -> None:
        self.first = first
        self.second = second
        self.headers: Sequence[HeaderPair] = _pairs(first.headers, second.headers)
        """The pairs of headers in the second request's order; removed headers are in between."""
        self.parameters: Sequence[ParameterDifference] = _parameter_differences(first, second)
        """The parameters whose values differ."""

    @property
    def is_same_line(self) -> bool:
        """True if the request lines are equal."""
        return self.first.line == self.second.line

    @property
    def is_same_body(self) -> bool:
        """True if the bodies are equal, byte for byte."""
        return self.first.body == self.second.body

    def count(self, change: HeaderChange) -> int:
        """Return the number of headers with this kind of change."""
        return sum(pair.change is change for pair in self.headers)

    @property
    def summary(self) -> str:
        """One line that says how many headers differ, and what differs in the body."""
        counts = {change: self.count(change) for change in HeaderChange}
        differing = counts[HeaderChange.DIFFERS]
        parts = [
            f"{counts[change]} {change}"
            for change in (HeaderChange.RENAMED, HeaderChange.REMOVED, HeaderChange.ADDED)
            if counts[change]
        ]
        if differing:
            parts.append(f"{differing} {'differs' if differing == 1 else 'differ'}")
        line = "" if self.is_same_line else "; the request line differs"
        return f"Headers: {', '.join(parts) or 'all the same'}{line}; {self._content()}."

    def _content(self) -> str:
        if self.first.method != self.second.method:
            return f"{self.first.method} is compared with {self.second.method}"
        if self._has_same_events:
            same = "also byte for byte" if self.is_same_body else "written in another way"
            return f"the body has the same events, {same}"
        is_get = self.first.method == HttpMethod.GET and not self.first.has_events
        what, is_, differs = (
            ("the parameters in the URL", "are", "differ")
            if is_get
            else ("the body", "is", "differs")
        )
        names = [each.name for each in self.parameters]
        if change := self._encoding_change:
            first, second = (_ENCODINGS[each] for each in change)
            how = "with the same parameters"
            if names:
                how = f"and differs in {_listed(names[:_NAMED], len(names))}"
            return f"the body is {second} instead of {first}, {how}"
        if names:
            is_longer = len(self.first.body.encode()) != len(self.second.body.encode())
            length = ", and Content-Length because of that" if is_longer else ""
            return f"{what} {differs} only in {_listed(names[:_NAMED], len(names))}{length}"
        return f"{what} {is_} the same" if self.is_same_body else f"{what} {differs}"

    @property
    def _has_same_events(self) -> bool:
        """True if both bodies have the same events, in the same order."""
        if not (self.first.has_events and self.second.has_events):
            return False
        first, second = _events_in(self.first.body), _events_in(self.second.body)
        return bool(first) and first == second

    @property
    def _encoding_change(self) -> tuple[BodyEncoding, BodyEncoding] | None:
        """The encodings of both bodies, if they differ."""
        first, second = self.first.body_encoding, self.second.body_encoding
        return None if first is None or second is None or first is second else (first, second)

    @property
    def receiver_changes(self) -> list[str]:
        """The changes that a receiver for the first source needs, to accept the second source too.

        Each change is one or two sentences. There are none if both requests have the same source.
        """
        if self.first.source == self.second.source:
            return []
        return [
            *self._signature_changes(),
            *self._token_changes(),
            *self._body_changes(),
            *self._other_changes(),
            self._address_change(),
        ]

    def _signature_changes(self) -> Iterable[str]:
        first, second = self._both(HeaderRole.SIGNATURE)
        if second is None:
            return
        check = f"Check {second.name}, computed with the account's {self.second.secret}."
        if first is None or _has_same_name(first, second):
            yield check
        else:
            yield f"{check} Do not require {first.name}: {self.second.source} does not send it."

    def _both(self, role: HeaderRole) -> tuple[ComparedHeader | None, ComparedHeader | None]:
        """Return the header with this role in the first and the second request; None if missing."""
        return self.first.header_with(role), self.second.header_with(role)

    def _token_changes(self) -> Iterable[str]:
        first, second = self._both(HeaderRole.IDEMPOTENCY)
        if second is None:
            return
        is_renamed = first is not None and not _has_same_name(first, second)
        read = f"Read the idempotency token from {second.name}. " if is_renamed else ""
        yield (
            f"{read}Take any printable token of up to {MAX_TOKEN} characters, and keep the tokens"
            " of the two sources apart."
        )

    def _body_changes(self) -> Iterable[str]:
        if change := self._encoding_change:
            first, second = (_ENCODINGS[each] for each in change)
            yield f"Read the parameters from a body that is {second}, not {first}."
        if self._has_same_events:
            yield (
                "Read an event's names in any order, and recognise it by its `id`, which is the"
                " same from both sources, as is its `data`."
                f" {self.second.source} sends another `source`, `dataschema` and format of `time`."
            )
            hashed = [BODY_HASH in request.url for request in (self.first, self.second)]
            if hashed == [True, False]:
                yield (
                    f"Do not require {BODY_HASH} in the URL: the signature of {self.second.source}"
                    " covers the body itself."
                )

    def _other_changes(self) -> Iterable[str]:
        source, parts = self.second.source, list[str]()
        if removed := self._names_of(HeaderChange.REMOVED):
            it = "it" if len(removed) == 1 else "them"
            names = _listed(removed, len(removed))
            parts.append(f"Do not require {names}: {source} does not send {it}.")
        if differing := self._names_of(HeaderChange.DIFFERS):
            is_one = len(differing) == 1
            values, others = ("value", "another one") if is_one else ("values", "other ones")
            names = _listed(differing, len(differing))
            parts.append(f"Do not depend on the {values} of {names}: {source} sends {others}.")
        if parts:
            yield " ".join(parts)

    def _names_of(self, change: HeaderChange) -> list[str]:
        """Return the names of the headers that have this change because the sources differ.

        Tokens, signatures and headers that differ in every request are left out.
        """
        found = [(pair.first or pair.second) for pair in self.headers if pair.change is change]
        return [
            header.name
            for header in found
            if header is not None
            and header.role is None
            and header.name.lower() not in _OF_EACH_REQUEST
        ]

    def _address_change(self) -> str:
        advice = "Do not recognise callbacks by the IP address that they come from"
        if self.second.source == Source.KORE:
            return f"{advice}: kore sends from a pool of addresses without a fixed range."
        return f"{advice}: {self.second.source} may send from other addresses."


def _pairs(first: Sequence[ComparedHeader], second: Sequence[ComparedHeader]) -> list[HeaderPair]:
    """Return the headers of both requests in pairs.

    The two headers with the token are a pair, and so are the two with the signature. All other
    headers are paired by name; None takes the place of a missing counterpart.
    """
    partners = dict[int, int]()
    for is_partner in (_has_same_role, _has_same_name):
        for at, header in enumerate(second):
            for other, candidate in enumerate(first):
                is_free = at not in partners and other not in partners.values()
                if is_free and is_partner(candidate, header):
                    partners[at] = other
    rows = [
        (partners.get(at), _pair(first, partners.get(at), header))
        for at, header in enumerate(second)
    ]
    for at, header in enumerate(first):
        if at in partners.values():
            continue
        # After the header that it followed, where a reader looks for it.
        places = [place for place, (other, _) in enumerate(rows) if other == at - 1]
        place = places[0] + 1 if places else 0
        rows.insert(place, (at, HeaderPair(HeaderChange.REMOVED, header, None)))
    return [pair for _, pair in rows]


def _has_same_role(one: ComparedHeader, other: ComparedHeader) -> bool:
    return one.role is not None and one.role is other.role


def _has_same_name(one: ComparedHeader, other: ComparedHeader) -> bool:
    return one.name.lower() == other.name.lower()


def _pair(
    headers: Sequence[ComparedHeader], partner: int | None, second: ComparedHeader
) -> HeaderPair:
    if partner is None:
        return HeaderPair(HeaderChange.ADDED, None, second)
    first = headers[partner]
    if not _has_same_name(first, second):
        return HeaderPair(HeaderChange.RENAMED, first, second)
    change = HeaderChange.SAME if first.is_like(second) else HeaderChange.DIFFERS
    return HeaderPair(change, first, second)


def _parameter_differences(
    first: ComparedRequest, second: ComparedRequest
) -> list[ParameterDifference]:
    old, new = _by_name(first.parameters), _by_name(second.parameters)
    return [
        ParameterDifference(name, old.get(name, ()), new.get(name, ()))
        for name in dict.fromkeys([*old, *new])
        if old.get(name) != new.get(name)
    ]


def _events_in(body: str) -> list[tuple[object, object]]:
    """Return the id and the data of each event in a body."""
    events: list[dict[str, object]] = json.loads(body)
    return [(event["id"], event.get("data")) for event in events if "id" in event]


def _by_name(parameters: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    found = dict[str, tuple[str, ...]]()
    for name, value in parameters:
        found[name] = (*found.get(name, ()), value)
    return found


def _listed(names: Sequence[str], count: int) -> str:
    """Return these names as a list in words; if `count` is higher, it says how many more there are.

    >>> _listed(["A", "B", "C"], 3), _listed(["A", "B"], 7)
    ('A, B and C', 'A, B and 5 more')
    """
    if count > len(names):
        return f"{', '.join(names)} and {count - len(names)} more"
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last
