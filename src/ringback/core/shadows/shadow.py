"""Shadows: copies of callbacks sent from another source, to see how the receiver answers them.

A copy has the same content as its callback, but its own idempotency token. It carries a mark by
which the receiver recognises it, and is sent once; its result does not affect the callback.
"""

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, NamedTuple, Self, assert_never

from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.callbacks.callback import Attempt, CallbackRecord, DeliveryProgress, settle
from ringback.core.http.http_exchange import AttemptResult, SentRequestRecord
from ringback.core.policy.source_policy import SourceName, begins_with
from ringback.core.sids import SID_BYTES, SidKind, dated, make_sid
from ringback.core.sources.idempotency_tokens import TOKEN_BYTES
from ringback.core.sources.source_definition import BUILT_IN, Sources

SHADOW_BYTES: Final = SID_BYTES + TOKEN_BYTES
"""The number of random bytes needed to create a copy."""


@dataclass(frozen=True, slots=True)
class ShadowQueryParameter:
    """Marks a copy by its query: it goes to the callback's URL with this parameter added."""

    parameter: str
    """The encoded parameter, like `shadow=1`."""


@dataclass(frozen=True, slots=True)
class ShadowTargetPath:
    """Marks a copy by its path: it goes to another path at the callback's scheme, host and port."""

    path: str


@dataclass(frozen=True, slots=True)
class ShadowTargetUrl:
    """Marks a copy by its URL: it goes to another URL, with the settings in that URL's fragment."""

    url: CallbackUrl


Mark = ShadowQueryParameter | ShadowTargetPath | ShadowTargetUrl
"""The mark by which a receiver recognises a copy: a query parameter, another path or URL."""


@dataclass(frozen=True, slots=True)
class ShadowRule:
    """A rule that says which callbacks are copied, which source sends the copies, and their mark.

    If `account_sid` is None, the rule covers every account; if `url_prefix` is None, every URL.
    """

    source: SourceName
    mark: Mark
    account_sid: str | None = None
    url_prefix: str | None = None
    percent: int = 100
    """The percentage of covered callbacks that are copied, chosen by their SIDs."""

    def covers(self, callback: CallbackRecord) -> bool:
        """Return True if the rule covers this callback's account, URL and source."""
        is_theirs = self.account_sid in (None, callback.account_sid)
        is_other = callback.source != self.source
        return is_theirs and is_other and begins_with(callback.url.wire, self.url_prefix or "")

    def takes(self, callback: CallbackRecord) -> bool:
        """Return True if this callback is among the `percent` that are copied; its SID decides."""
        digest = hashlib.sha256(callback.sid.encode()).digest()
        return int.from_bytes(digest[:8]) % 100 < self.percent

    def url_of(self, callback: CallbackRecord) -> CallbackUrl:
        """Return the URL that the copy of this callback is sent to."""
        match self.mark:
            case ShadowQueryParameter(parameter):
                return callback.url.with_parameters(parameter)
            case ShadowTargetPath(path):
                return callback.url.with_path(path)
            case ShadowTargetUrl(url):
                return url
            case _:
                assert_never(self.mark)


def rule_for(rules: tuple[ShadowRule, ...], callback: CallbackRecord) -> ShadowRule | None:
    """Return the rule that makes a copy of this callback, or None if it is not copied.

    The first rule that covers the callback decides. A test event is never copied, since only KORE
    sends test events, and a batch of an event stream neither, since its source is the stream's.
    """
    if callback.has_events:
        return None
    rule = next((one for one in rules if one.covers(callback)), None)
    return rule if rule is not None and rule.takes(callback) else None


def copy_of(
    callback: CallbackRecord,
    rule: ShadowRule,
    *,
    random_bytes: bytes,
    now: datetime,
    sources: Sources = BUILT_IN,
) -> CallbackRecord:
    """Return the copy of a callback that this rule makes, with its own SID and token.

    Its body has the same parameters, encoded as the copy's source encodes them.
    """
    definition = sources[rule.source]
    return callback._replace(
        body=definition.body_of(callback.body, callback.method),
        sid=make_sid(SidKind.SHADOW, dated(random_bytes[:SID_BYTES], now)),
        url=replace(rule.url_of(callback), warnings=()),
        source=rule.source,
        source_reason=f"a shadow copy of {callback.sid}",
        idempotency_token=definition.token.make(dated(random_bytes[SID_BYTES:], now)),
        date_created=now,
        progress=DeliveryProgress(now),
        idempotency_key=None,
        replay_of=None,
    )


class ShadowCallback(NamedTuple):
    """The stored record of a copy: saved before its request is sent, and completed afterwards."""

    sid: str
    source: SourceName
    idempotency_token: str
    url: CallbackUrl
    attempt: Attempt
    """The copy's only attempt; its `callback_sid` is that of the original callback."""
    body: str | None = None
    """The copy's body, if it is encoded in another way than the callback's."""

    @property
    def account_sid(self) -> str:
        """The SID of the account that the callback belongs to."""
        return self.attempt.account_sid

    @classmethod
    def opened(cls, copy: CallbackRecord, *, of: CallbackRecord) -> Self:
        """Return the record of a copy that is about to be sent, with its attempt still open."""
        attempt = Attempt(of.sid, copy.account_sid, 1, copy.date_created)
        body = None if copy.body == of.body else copy.body
        return cls(copy.sid, copy.source, copy.idempotency_token, copy.url, attempt, body)

    def settled(
        self, ended: AttemptResult, request: SentRequestRecord | None, *, started: datetime
    ) -> Self:
        """Return the record with the copy's result, its request, and when it was sent."""
        return self._replace(attempt=settle(self.attempt, ended, request, started=started))
