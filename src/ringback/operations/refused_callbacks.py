"""Sends again what receivers refused while their URLs were moved, after the URLs have gone back.

Approving a plan is the deliberate act that sends a callback again from the other source. What a
receiver may have acted on is not sent again, because the other source has other tokens, so that no
receiver could recognise the repeat.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple

from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.callbacks.callback import CallbackRecord, CallbackStatus, discard
from ringback.core.callbacks.create_callback import CALLBACK_BYTES, repeat
from ringback.core.http.outcome import UnknownOutcome, is_refusal
from ringback.core.policy.source_policy import CallbackSourceSelection, SourceName
from ringback.operations.context import OperationContext
from ringback.ports import CallbackFilter, Transaction

_EXAMINED: Final = 1000
"""How many callbacks one transaction reads at most."""
_SOON: Final = timedelta(minutes=10)
"""A callback that was never tried, and is due later than this, is not waited for."""


class ReturnedUrl(NamedTuple):
    """A URL that has gone back."""

    old: str
    """The URL as it is configured now, without credentials."""
    since: datetime
    """When it was moved: callbacks from then on may have come from the new source."""


class RefusedCallbackFate(StrEnum):
    """What happens to a callback that was not delivered while its URL was moved."""

    SENT_AGAIN = "sent_again"
    """The receiver refused it, so the old source sends it again as a new callback."""
    MAYBE_ACTED_ON = "maybe_acted_on"
    """The receiver may have acted on it, so a person has to decide."""
    STAYS = "stays"
    """The policy would send it from the new source again, so it stays as it is."""
    DUE_LATER = "due_later"
    """It was never tried, and is due later; the new source sends it then."""
    OPEN = "open"
    """An attempt is under way, or the first one is due soon; how it ends is not known yet."""


class RefusedCallbacksPiece(NamedTuple):
    """What was done with some callbacks."""

    fates: Mapping[RefusedCallbackFate, int]
    maybe_acted_on: Sequence[str]
    """The SIDs of the callbacks that the receiver may have acted on."""
    last_place: int | None
    """Where the next piece begins; None if this was the last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedCallbacks:
    """The callbacks of an account to URLs that have gone back from a source."""

    account_sid: str
    source: SourceName
    """The source to which the URLs were moved."""
    urls: Mapping[str, ReturnedUrl]
    """The URLs that have gone back, by the URL that they had while they were moved."""
    is_all: bool = False
    """True to send also what a receiver may have acted on."""

    @property
    def since(self) -> datetime:
        """When the first of the URLs was moved."""
        return min(url.since for url in self.urls.values())

    def send_again(
        self,
        tx: Transaction,
        status: CallbackStatus,
        context: OperationContext,
        *,
        after: int | None,
        limit: int,
    ) -> RefusedCallbacksPiece:
        """Deal with at most `limit` callbacks of this status, after this place in the list.

        Raises BacklogFull if the queue has no room for them.
        """
        which = CallbackFilter(statuses=frozenset({status}), source=self.source, since=self.since)
        page = tx.callbacks.oldest(
            self.account_sid, which, after=after, limit=limit, examining=_EXAMINED
        )
        ours = [one for one in page if self._concerns(one)]
        if ours:
            context.queue.make_room(self.account_sid, len(ours))
        fates, unsure = Counter[RefusedCallbackFate](), list[str]()
        for callback in ours:
            fate = self._deal_with(tx, callback, context)
            fates[fate] += 1
            if fate is RefusedCallbackFate.MAYBE_ACTED_ON:
                unsure.append(callback.sid)
        has_more = page.stopped_at is not None or len(page) == limit
        return RefusedCallbacksPiece(fates, unsure, page.last_place if has_more else None)

    def _concerns(self, callback: CallbackRecord) -> bool:
        url = self.urls.get(callback.url.shown)
        return url is not None and callback.date_created >= url.since and not callback.has_events

    def _deal_with(
        self, tx: Transaction, callback: CallbackRecord, context: OperationContext
    ) -> RefusedCallbackFate:
        fate = self._fate_of(tx, callback, context.now)
        if fate is not RefusedCallbackFate.SENT_AGAIN:
            return fate
        old = CallbackUrl.parse(self.urls[callback.url.shown].old, sources=None)
        url = old.with_credentials(callback.url.credentials)
        policy = context.policy
        chosen = policy.choose(
            url.source, at=policy.date_at(context.now), account_sid=self.account_sid, url=url.wire
        )
        if chosen.source == self.source:
            return RefusedCallbackFate.STAYS
        _send_from(tx, callback, url, chosen, context)
        return fate

    def _fate_of(
        self, tx: Transaction, callback: CallbackRecord, now: datetime
    ) -> RefusedCallbackFate:
        progress = callback.progress
        if progress.is_under_way:
            return RefusedCallbackFate.OPEN
        if not progress.attempt_count and progress.due is not None:
            is_soon = progress.due <= now + _SOON
            return RefusedCallbackFate.OPEN if is_soon else RefusedCallbackFate.DUE_LATER
        attempts = tx.callbacks.attempts(callback.sid)
        # An attempt that was open when this process stopped may have been acted on. But if the
        # receiver has refused the same token since, it does not know it.
        known = [one for one in attempts if one.result != UnknownOutcome.label]
        are_refusals = (is_refusal(one.status_code, one.failure) for one in known)
        if self.is_all or (known and all(are_refusals)):
            return RefusedCallbackFate.SENT_AGAIN
        if not known and callback.status is CallbackStatus.SCHEDULED:
            return RefusedCallbackFate.OPEN
        return RefusedCallbackFate.MAYBE_ACTED_ON


def _send_from(
    tx: Transaction,
    callback: CallbackRecord,
    url: CallbackUrl,
    chosen: CallbackSourceSelection,
    context: OperationContext,
) -> None:
    """Send the content of a callback as a new one, and discard the callback itself."""
    again = repeat(
        callback,
        source=chosen.source,
        random_bytes=context.random_source.bytes(CALLBACK_BYTES),
        now=context.now,
        sources=context.sources,
        created_by=context.actor.id,
    )
    why = f"{callback.source} was refused, and its URL went back: {chosen.reason}"
    again = again._replace(url=url, source_asked=url.source, source_reason=why)
    context.queue.take(tx, again)
    gone = f"the receiver refused {callback.source}; sent again from {again.source} as {again.sid}"
    context.queue.change(tx, callback, discard(callback.progress, gone, context.now))
