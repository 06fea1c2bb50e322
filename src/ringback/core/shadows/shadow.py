"""Shadows: copies of callbacks from another source, sent to find out how they are answered.

A copy has the same content as its callback, and its own token. It is marked, so that a receiver can
tell it apart, and is sent once; its result changes nothing about the callback.
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
"""How many random bytes a copy needs."""


@dataclass(frozen=True, slots=True)
class ShadowQueryParameter:
    """The copy goes to the same URL, with this at the end of its query."""

    parameter: str
    """Encoded: `shadow=1`."""


@dataclass(frozen=True, slots=True)
class ShadowTargetPath:
    """The copy goes to another path of the same origin."""

    path: str


@dataclass(frozen=True, slots=True)
class ShadowTargetUrl:
    """The copy goes to another URL, with the settings in that URL's fragment."""

    url: CallbackUrl


Mark = ShadowQueryParameter | ShadowTargetPath | ShadowTargetUrl
"""How a receiver can tell a copy from the callback itself."""


@dataclass(frozen=True, slots=True)
class ShadowRule:
    """Says which callbacks are copied, from which source, and with which mark.

    Without an account it covers every account, without a prefix every URL.
    """

    source: SourceName
    mark: Mark
    account_sid: str | None = None
    url_prefix: str | None = None
    percent: int = 100
    """The share of covered callbacks that is copied; their SIDs decide which ones."""

    def covers(self, callback: CallbackRecord) -> bool:
        """Whether it covers this callback by its account, URL and source."""
        is_theirs = self.account_sid in (None, callback.account_sid)
        is_other = callback.source != self.source
        return is_theirs and is_other and begins_with(callback.url.wire, self.url_prefix or "")

    def takes(self, callback: CallbackRecord) -> bool:
        """Whether this covered callback is in the share; the answer never changes."""
        digest = hashlib.sha256(callback.sid.encode()).digest()
        return int.from_bytes(digest[:8]) % 100 < self.percent

    def url_of(self, callback: CallbackRecord) -> CallbackUrl:
        """Return where the copy of this callback goes."""
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
    """Return the rule by which this callback is copied, or None if it is not.

    The first rule that covers it decides. A test event is not copied: only KORE sends those.
    """
    if callback.is_test:
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
    """Return the copy that this rule makes of a callback, ready to be rendered."""
    return callback._replace(
        sid=make_sid(SidKind.SHADOW, dated(random_bytes[:SID_BYTES], now)),
        url=replace(rule.url_of(callback), warnings=()),
        source=rule.source,
        source_reason=f"a copy of {callback.sid}",
        idempotency_token=sources[rule.source].token.make(dated(random_bytes[SID_BYTES:], now)),
        date_created=now,
        progress=DeliveryProgress(now),
        idempotency_key=None,
        replay_of=None,
    )


class ShadowCallback(NamedTuple):
    """The row of a copy: written before its request is sent, completed after it."""

    sid: str
    source: SourceName
    idempotency_token: str
    url: CallbackUrl
    attempt: Attempt
    """Its only attempt; the SID in it is that of the original callback."""

    @property
    def account_sid(self) -> str:
        """The account of the callback."""
        return self.attempt.account_sid

    @classmethod
    def opened(cls, copy: CallbackRecord, *, of: CallbackRecord) -> Self:
        """Return the open row of a copy that is about to be sent."""
        attempt = Attempt(of.sid, copy.account_sid, 1, copy.date_created)
        return cls(copy.sid, copy.source, copy.idempotency_token, copy.url, attempt)

    def settled(
        self, ended: AttemptResult, request: SentRequestRecord | None, *, started: datetime
    ) -> Self:
        """Return the completed row, with the time at which the copy was really sent."""
        return self._replace(attempt=settle(self.attempt, ended, request, started=started))
