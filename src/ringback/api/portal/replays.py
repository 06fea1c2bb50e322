"""The portal's operations that replay and discard callbacks."""

from collections.abc import AsyncIterator
from dataclasses import fields
from typing import Any, Final

from starlette.responses import Response

from ringback.api.authentication import signed_in
from ringback.api.endpoint_group import ApiRequest, Change, EndpointGroup
from ringback.api.operation_definition import ApiOperation, required
from ringback.api.portal.callback_json import CALLBACK, show_callback
from ringback.api.portal.callbacks import CALLBACKS
from ringback.api.portal.replay_request import (
    AS_OTHER,
    CHUNK,
    PARAMETERS,
    ReplayRequest,
    read_replays,
)
from ringback.api.request_parameters import RequestParameters
from ringback.api.schema_pieces import COUNTS, FLAG, INSTANT, TEXT, number, object_of, or_null, text
from ringback.api.serializers import CustomJsonSerializer, json_answer
from ringback.core.callbacks.callback import CallbackRecord
from ringback.core.errors import BacklogFull
from ringback.operations.context import OperationContext
from ringback.operations.replay import (
    ANY,
    ENDED,
    BulkReplayTotals,
    Replay,
    discard_callback,
    from_other_source,
    from_same_source,
    only_look,
    only_look_at_other,
    replay_callback,
    replay_named,
    replay_oldest,
)
from ringback.ports import Transaction

MOST_AT_ONCE: Final = 10_000
"""Maximum number of callbacks that one request replays."""

_MOST_CHUNKS: Final = 400
"""Maximum number of transactions per request, even if few callbacks match the filter."""
_LONGEST_REASON: Final = 200


REPLAYS: Final = CustomJsonSerializer(
    "replays",
    object_of(
        dry_run=FLAG,
        matched=number(0),
        replayed=number(0),
        skipped=COUNTS,
        next=or_null(object_of(After=or_null(TEXT), Until=or_null(INSTANT))),
    ),
)
_REASON: Final = required(
    "Reason",
    text(shortest=1, longest=_LONGEST_REASON),
    "The reason to discard the callback, stored in its `status_reason`.",
)


class ReplayEndpoints(EndpointGroup):
    """The operations that replay and discard callbacks."""

    def operations(self) -> list[ApiOperation]:
        """Return the operations that replay and discard callbacks."""
        one, discards = f"{CALLBACKS}/{{sid}}", "Discard a callback: it is not sent any more."
        replays = "Send a callback again. 201 means that a new one comes from the other source."
        return [
            self.answers(
                *(f"{one}/replay", "ReplayCallback", replays, CALLBACK, self._replay),
                verb="POST",
                statuses=(200, 201),
                takes=(AS_OTHER,),
                conflicts=True,
            ),
            self.changes(
                *(f"{one}/discard", "DiscardCallback", discards, CALLBACK, _discard),
                takes=(_REASON,),
                conflicts=True,
            ),
            self.answers(
                *("/portal/v1/replays", "ReplayCallbacks", "Send many callbacks again."),
                *(REPLAYS, self._replay_many),
                verb="POST",
                takes=PARAMETERS,
            ),
        ]

    async def _replay(self, call: ApiRequest) -> Response:
        is_new, context = call.given.is_yes("AsOtherSource"), self.context_of(call.request)
        send_again = _replay_of(call.given, context)
        self._dependencies.callback_queue.make_room(call.account_sid, 1)

        def work(tx: Transaction) -> CallbackRecord:
            again = replay_callback(
                tx, call.account_sid, call.sid, send_again, statuses=ENDED if is_new else ANY
            )
            context.record(
                *(tx, "ReplayCallback", call.sid),
                account_sid=call.account_sid,
                after={"callback_sid": again.sid, "source": again.source},
            )
            return again

        callback = await self._dependencies.store.transact(work)
        return json_answer(show_callback(callback), 201 if is_new else 200)

    async def _replay_many(self, call: ApiRequest) -> dict[str, Any]:
        now, sources = self._dependencies.clock.now(), self._dependencies.sources
        asked = read_replays(call.given, now=now, sources=sources)
        done = await self._work_through(call, asked, self.context_of(call.request))
        return {
            "dry_run": asked.is_dry,
            "matched": done.matched,
            "replayed": done.replayed,
            "skipped": done.skipped,
            "next": _next(asked, done) if done.has_more else None,
        }

    async def _work_through(
        self, call: ApiRequest, asked: ReplayRequest, context: OperationContext
    ) -> BulkReplayTotals:
        """Replay callbacks in chunks, and return the totals.

        The first chunk adds an audit entry, so that nothing is replayed without one. If there are
        further chunks, a second entry with all totals follows them.
        """
        first, done = 0, BulkReplayTotals()
        async for done in self._chunks(call, asked, context):
            first = first or done.matched
        if done.matched > first and not asked.is_dry:
            await self._dependencies.store.transact(
                lambda tx: _record(tx, call, asked, done, context)
            )
        return done

    async def _chunks(
        self, call: ApiRequest, asked: ReplayRequest, context: OperationContext
    ) -> AsyncIterator[BulkReplayTotals]:
        """Replay chunk after chunk, and yield the totals after each of them."""
        done = BulkReplayTotals(last=asked.after)
        for _ in range(_MOST_CHUNKS):
            try:
                if not asked.is_dry:
                    self._dependencies.callback_queue.make_room(call.account_sid, CHUNK)
                    self._dependencies.authenticator.charge(
                        signed_in(call.request), len(asked.sids) or CHUNK
                    )
            except BacklogFull:
                if done.matched:
                    return
                raise
            done += await self._chunk(call, asked, done, context)
            yield done
            if not done.has_more or done.matched >= MOST_AT_ONCE:
                return

    async def _chunk(
        self,
        call: ApiRequest,
        asked: ReplayRequest,
        before: BulkReplayTotals,
        context: OperationContext,
    ) -> BulkReplayTotals:
        """Replay one chunk after those of `before`, and return the totals of this chunk."""
        account_sid = call.account_sid
        send_again = (_dry_run_of if asked.is_dry else _replay_of)(call.given, context)

        def work(tx: Transaction) -> BulkReplayTotals:
            if asked.sids:
                done = replay_named(
                    tx, account_sid, asked.sids, send_again, statuses=asked.statuses
                )
            else:
                which, after = asked.which, before.last
                done = replay_oldest(tx, account_sid, which, send_again, after=after, limit=CHUNK)
            if done.matched and not before.matched and not asked.is_dry:
                _record(tx, call, asked, done, context)
            return done

        if asked.is_dry:
            return await self.read(account_sid, work)
        return await self._dependencies.store.transact(work)


def _discard(call: ApiRequest) -> Change[CallbackRecord]:
    call.given.required("Reason")
    why = call.given.label("Reason", longest=_LONGEST_REASON) or ""
    return lambda tx, context: discard_callback(tx, call.account_sid, call.sid, why, context)


def _record(
    tx: Transaction,
    call: ApiRequest,
    asked: ReplayRequest,
    done: BulkReplayTotals,
    context: OperationContext,
) -> None:
    """Add the audit entry of a bulk replay, with what was asked for, and the totals so far."""
    which = {
        field.name: value
        for field in fields(asked.which)
        if (value := getattr(asked.which, field.name)) is not None
    }
    context.record(
        *(tx, "ReplayCallbacks", "callbacks"),
        account_sid=call.account_sid,
        after={
            **({"sids": asked.sids} if asked.sids else which),
            "as_other_source": call.given.is_yes("AsOtherSource"),
            "matched": done.matched,
            "replayed": done.replayed,
        },
    )


def _replay_of(form: RequestParameters, context: OperationContext) -> Replay:
    replay = from_other_source if form.is_yes("AsOtherSource") else from_same_source
    return replay(context)


def _dry_run_of(form: RequestParameters, _: OperationContext) -> Replay:
    return only_look_at_other if form.is_yes("AsOtherSource") else only_look


def _next(asked: ReplayRequest, done: BulkReplayTotals) -> dict[str, str | None]:
    """Return the parameters that the client adds to the next request to continue."""
    until = asked.which.until
    return {"After": done.last, "Until": until and f"{until:%Y-%m-%dT%H:%M:%S.%fZ}"}
