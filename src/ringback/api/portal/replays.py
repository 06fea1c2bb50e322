"""The portal's operations that replay and discard callbacks."""

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
        is_new = call.given.is_yes("AsOtherSource")
        send_again = self._replay_of(call.given)
        self._dependencies.callback_queue.make_room(call.account_sid, 1)
        callback = await self._dependencies.store.transact(
            lambda tx: replay_callback(
                tx, call.account_sid, call.sid, send_again, statuses=ENDED if is_new else ANY
            )
        )
        return json_answer(show_callback(callback), 201 if is_new else 200)

    async def _replay_many(self, call: ApiRequest) -> dict[str, Any]:
        now, sources = self._dependencies.clock.now(), self._dependencies.sources
        asked = read_replays(call.given, now=now, sources=sources)
        send_again = _dry_run_of(call.given) if asked.is_dry else self._replay_of(call.given)
        done, is_all = await self._work_through(call, asked, send_again)
        return {
            "dry_run": asked.is_dry,
            "matched": done.matched,
            "replayed": done.replayed,
            "skipped": done.skipped,
            "next": None if is_all else _next(asked, done),
        }

    def _replay_of(self, form: RequestParameters) -> Replay:
        replay = from_other_source if form.is_yes("AsOtherSource") else from_same_source
        return replay(self._dependencies.context())

    async def _work_through(
        self, call: ApiRequest, asked: ReplayRequest, send_again: Replay
    ) -> tuple[BulkReplayTotals, bool]:
        """Replay callbacks in chunks; return the totals, and True if no more are left."""
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
                    return done, False
                raise
            chunk = await self._chunk(call.account_sid, asked, send_again, after=done.last)
            done += chunk
            if not done.has_more:
                return done, True
            if done.matched >= MOST_AT_ONCE:
                break
        return done, False

    async def _chunk(
        self, account_sid: str, asked: ReplayRequest, send_again: Replay, *, after: str | None
    ) -> BulkReplayTotals:
        if asked.sids:
            return await self._dependencies.store.transact(
                lambda tx: replay_named(
                    tx, account_sid, asked.sids, send_again, statuses=asked.statuses
                )
            )

        def work(tx: Transaction) -> BulkReplayTotals:
            return replay_oldest(tx, account_sid, asked.which, send_again, after=after, limit=CHUNK)

        if asked.is_dry:
            return await self.read(account_sid, work)
        return await self._dependencies.store.transact(work)


def _discard(call: ApiRequest) -> Change[CallbackRecord]:
    call.given.required("Reason")
    why = call.given.label("Reason", longest=_LONGEST_REASON) or ""
    return lambda tx, context: discard_callback(tx, call.account_sid, call.sid, why, context)


def _dry_run_of(form: RequestParameters) -> Replay:
    return only_look_at_other if form.is_yes("AsOtherSource") else only_look


def _next(asked: ReplayRequest, done: BulkReplayTotals) -> dict[str, str | None]:
    """Return the parameters that the client adds to the next request to continue."""
    until = asked.which.until
    return {"After": done.last, "Until": until and f"{until:%Y-%m-%dT%H:%M:%S.%fZ}"}
