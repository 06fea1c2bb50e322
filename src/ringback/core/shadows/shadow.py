"""Shadows: copies of callbacks from another source, sent to see how they would be answered.

A copy tells the same as its callback, with a token of its own. It is marked, so that a receiver can
tell it apart, and is sent once: whatever comes of it changes nothing about the callback.
"""

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, NamedTuple, Self, assert_never

from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.callbacks.callback import Attempt, DeliveryState, OutgoingCallback, settle
from ringback.core.http.http_exchange import AttemptResult, RecordedRequest
from ringback.core.policy.source_policy import SourceName, begins_with
from ringback.core.sids import SID_BYTES, SidKind, dated, make_sid
from ringback.core.sources.idempotency_tokens import TOKEN_BYTES
from ringback.core.sources.source_definition import BUILT_IN, Sources

SHADOW_BYTES: Final = SID_BYTES + TOKEN_BYTES
"""How many bytes of chance a copy needs."""


@dataclass(frozen=True, slots=True)
class ShadowWithParameter:
    """The copy goes to the same URL, with this at the end of its query."""

    parameter: str
    """Encoded: `shadow=1`."""


@dataclass(frozen=True, slots=True)
class ShadowToPath:
    """The copy goes to another path of the same origin."""

    path: str


@dataclass(frozen=True, slots=True)
class ShadowToUrl:
    """The copy goes to another URL, by the connection settings in that one's fragment."""

    url: CallbackUrl


Mark = ShadowWithParameter | ShadowToPath | ShadowToUrl
"""How a receiver can tell a copy from the callback itself."""


@dataclass(frozen=True, slots=True)
class ShadowRule:
    """Has copies of some callbacks sent from a source.

    Without an account it is for every account, without a prefix for every URL.
    """

    source: SourceName
    mark: Mark
    account_sid: str | None = None
    url_prefix: str | None = None
    percent: int = 100
    """Of the callbacks that it covers; which ones, their SIDs decide."""

    def covers(self, callback: OutgoingCallback) -> bool:
        """Whether it is for callbacks of this account, to this URL, from another source."""
        is_theirs = self.account_sid in (None, callback.account_sid)
        is_other = callback.source != self.source
        return is_theirs and is_other and begins_with(callback.url.wire, self.url_prefix or "")

    def takes(self, callback: OutgoingCallback) -> bool:
        """Whether it takes this one of the callbacks that it covers: always the same answer."""
        digest = hashlib.sha256(callback.sid.encode()).digest()
        return int.from_bytes(digest[:8]) % 100 < self.percent

    def url_of(self, callback: OutgoingCallback) -> CallbackUrl:
        """Return where the copy of this callback goes."""
        match self.mark:
            case ShadowWithParameter(parameter):
                return callback.url.with_parameters(parameter)
            case ShadowToPath(path):
                return callback.url.with_path(path)
            case ShadowToUrl(url):
                return url
            case _:
                assert_never(self.mark)


def rule_for(rules: tuple[ShadowRule, ...], callback: OutgoingCallback) -> ShadowRule | None:
    """Return the rule by which this callback is copied, or None where it isn't.

    The first that covers it decides. A test event is not copied: it comes from KORE alone.
    """
    if callback.is_test:
        return None
    rule = next((one for one in rules if one.covers(callback)), None)
    return rule if rule is not None and rule.takes(callback) else None


def copy_of(
    callback: OutgoingCallback,
    rule: ShadowRule,
    *,
    chance: bytes,
    now: datetime,
    sources: Sources = BUILT_IN,
) -> OutgoingCallback:
    """Return the copy that this rule makes of a callback, ready to be rendered."""
    return callback._replace(
        sid=make_sid(SidKind.SHADOW, dated(chance[:SID_BYTES], now)),
        url=replace(rule.url_of(callback), warnings=()),
        source=rule.source,
        source_reason=f"a copy of {callback.sid}",
        idempotency_token=sources[rule.source].token.make(dated(chance[SID_BYTES:], now)),
        date_created=now,
        progress=DeliveryState(now),
        idempotency_key=None,
        replay_of=None,
    )


class Shadow(NamedTuple):
    """The row of a copy: written before its request leaves, settled after it."""

    sid: str
    source: SourceName
    idempotency_token: str
    url: CallbackUrl
    attempt: Attempt
    """Its only one, by the SID of the callback that it is a copy of."""

    @property
    def account_sid(self) -> str:
        """The account of the callback."""
        return self.attempt.account_sid

    @classmethod
    def opened(cls, copy: OutgoingCallback, *, of: OutgoingCallback) -> Self:
        """Return the open row of a copy that is about to leave."""
        attempt = Attempt(of.sid, copy.account_sid, 1, copy.date_created)
        return cls(copy.sid, copy.source, copy.idempotency_token, copy.url, attempt)

    def settled(
        self, exchange: AttemptResult, request: RecordedRequest | None, *, started: datetime
    ) -> Self:
        """Return the row with its ending, and the time at which it really started."""
        return self._replace(attempt=settle(self.attempt, exchange, request, started=started))
