"""`POST /portal/v1/callbacks`: stores and sends callbacks for a client's own events."""

import asyncio
from collections.abc import Awaitable, Generator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from ringback.api.authentication import signed_in
from ringback.api.bounded_body import media_type_in
from ringback.api.endpoint_group import EndpointGroup
from ringback.api.http.asgi_runner import FAILURE, DirectAnswer, PromisedResponse
from ringback.api.http.request_head import RequestHead
from ringback.api.operation_definition import ApiOperation
from ringback.api.portal.callback_json import CALLBACK, show_callback
from ringback.api.portal.callbacks import CALLBACKS
from ringback.api.portal.create_callbacks_body import MAX_KEY, MOST_AT_ONCE, items_of, read_one
from ringback.api.schema_pieces import (
    INSTANT,
    METHOD,
    URL,
    list_of,
    object_of,
    or_null,
    refer,
    text,
)
from ringback.api.serializers import CustomJsonSerializer, json_answer
from ringback.api.strict_json import (
    JSON_TYPE,
    Json,
    check_names,
    may_repeat_names,
    parse_json,
    read_json_body,
    refuse_repeats,
)
from ringback.core.accounts.client_credentials import ApiScope, Principal
from ringback.core.callbacks.callback import CallbackRecord
from ringback.core.callbacks.callback_serialization import write_new
from ringback.core.errors import BacklogFull
from ringback.operations.context import OperationContext
from ringback.operations.create_callbacks import send_callbacks

MAX_BODY: Final = 1024 * 1024
_BIG: Final = 64
"""Batches of more callbacks go to the batch queue, since one big commit would delay others."""
_MOST_ARRIVING: Final = 20 * MOST_AT_ONCE
"""Maximum number of an account's callbacks in batches that are being processed."""

_Prepared = tuple[CallbackRecord, list[tuple[str, str]]]
"""A callback that is ready to be stored, and its parameters from the request."""


_SCALAR: Final = {"type": ["string", "number", "boolean"]}
NEW_CALLBACK: Final = CustomJsonSerializer(
    "new_callback",
    {
        "type": "object",
        "properties": {
            "url": {**URL, "description": "The URL that receives the callback, with its fragment."},
            "parameters": {
                "type": "object",
                "additionalProperties": {"anyOf": [_SCALAR, {**list_of(_SCALAR), "minItems": 1}]},
                "description": "The callback's parameters: at most 200 values, 64 KiB encoded.",
            },
            "method": METHOD,
            "idempotency_key": {
                **or_null(text(shortest=1, longest=MAX_KEY)),
                "description": "If it was used before, the first callback is returned and no"
                " second one is sent.",
            },
            "ordering_key": {
                **or_null(text(shortest=1, longest=MAX_KEY)),
                "description": "Callbacks to one destination with the same key are sent one after"
                " the other, in the order in which they were accepted.",
            },
            "deliver_at": {
                **or_null(INSTANT),
                "description": "The earliest time to send it, at most 366 days ahead.",
            },
        },
        "required": ["url", "parameters"],
        "additionalProperties": False,
    },
)
_NEW: Final = refer(NEW_CALLBACK.name)
_BATCH: Final = {**list_of(_NEW), "minItems": 1, "maxItems": MOST_AT_ONCE}
NEW_CALLBACKS: Final = CustomJsonSerializer(
    "new_callbacks", {"anyOf": [_NEW, object_of(callbacks=_BATCH)]}, NEW_CALLBACK
)
_SENT: Final = refer(CALLBACK.name)
SENT_CALLBACKS: Final = CustomJsonSerializer(
    "sent_callbacks", {"anyOf": [_SENT, object_of(callbacks=list_of(_SENT))]}, CALLBACK
)


class CreateCallbacksEndpoints(EndpointGroup):
    """The operation that accepts new callbacks."""

    def operations(self) -> list[ApiOperation]:
        """Return the operation that accepts new callbacks."""
        sends = (
            "Send a callback for your own event, or up to 1,000 (all or none). 201 means that they"
            " are stored durably."
        )
        answers = {201: SENT_CALLBACKS}
        operation = ApiOperation("POST", CALLBACKS, "SendCallback", sends, self.send, answers)
        return [operation._replace(takes_json=NEW_CALLBACKS)]

    async def send(self, request: Request) -> Response:
        """Store one callback or a batch (all or none), and respond 201 after the commit."""
        if FAILURE in request.scope:
            raise request.scope[FAILURE]
        account = await self._account(request)
        body = await read_json_body(request, most=MAX_BODY)
        return await self._accept(signed_in(request), account.sid, body)

    def send_directly(self, head: RequestHead) -> DirectAnswer | None:
        """Return a function that does the same as `send`, if an account has just signed in.

        See `DirectHandler`.
        """
        authorization = head.by_name.get(b"authorization", b"").decode("latin-1")
        caller = self._dependencies.authenticator.remembered(authorization)
        if caller is None or caller.account is None or not caller.may(ApiScope.GLOBAL):
            return None
        if caller.is_read_only:
            return None
        content_type = head.by_name.get(b"content-type", b"").decode("latin-1")
        if content_type != JSON_TYPE and media_type_in(content_type) != JSON_TYPE:
            return None
        is_limited = self._dependencies.authenticator.rate_limit.is_on
        return partial(self._let_in if is_limited else self._accept, caller, caller.account.sid)

    async def _let_in(self, caller: Principal, account_sid: str, body: bytes) -> Response:
        await self._dependencies.authenticator.let_in(caller)
        return await self._accept(caller, account_sid, body)

    def _accept(self, caller: Principal, account_sid: str, body: bytes) -> Awaitable[Response]:
        document = parse_json(body)
        if isinstance(document, dict) and "callbacks" in document:
            return self._accept_batch(caller, account_sid, body, document)
        new = self._prepare(document, "", account_sid, caller, self._dependencies.context())
        check_names(body, document)

        def respond(kept: list[CallbackRecord]) -> Response:
            return json_answer(_show((kept[0], new)), 201)

        return PromisedResponse(self._keep(account_sid, [new[0]]), respond)

    async def _accept_batch(
        self, caller: Principal, account_sid: str, body: bytes, document: dict[str, Json]
    ) -> Response:
        items = items_of(document)
        with self._arriving(account_sid, len(items)):
            # The cost of the first callback was charged as the cost of the request.
            self._dependencies.authenticator.charge(caller, len(items) - 1, may_owe=True)
            return await self._send_many(caller, account_sid, body, document, items)

    @contextmanager
    def _arriving(self, account_sid: str, count: int) -> Generator[None]:
        """Limit how many callbacks of an account are in batches that are being processed.

        Raises BacklogFull if there would be more than `_MOST_ARRIVING`.
        """
        arriving_of = self._dependencies.arriving_of
        there = arriving_of[account_sid]
        if there + count > _MOST_ARRIVING:
            raise BacklogFull(
                f"{there} callbacks of this account are being accepted at the moment; {count}"
                f" more would exceed the limit of {_MOST_ARRIVING}; nothing was accepted, try"
                " again in 1 s",
                retry_after=1,
            )
        arriving_of[account_sid] += count
        try:
            yield
        finally:
            arriving_of[account_sid] -= count

    async def _send_many(
        self, caller: Principal, account_sid: str, body: bytes, document: Json, items: list[Json]
    ) -> Response:
        """Store the callbacks of a batch, working in slices so that other requests can run."""
        dependencies, context = self._dependencies, self._dependencies.context()
        # Checked again when they are stored; this avoids preparing them in vain.
        dependencies.callback_queue.make_room(account_sid, len(items))

        def prepare(numbered: tuple[int, Json]) -> _Prepared:
            index, item = numbered
            return self._prepare(item, f"callbacks[{index}].", account_sid, caller, context)

        new = await dependencies.slices.map(prepare, enumerate(items))
        if may_repeat_names(body, document):
            # In a thread, so that the event loop gets the interpreter every half millisecond.
            await asyncio.to_thread(refuse_repeats, body)
        prepared = [callback for callback, _ in new]
        # A commit that adds 1,000 callbacks holds the store for 20 to 35 ms (decision 17).
        if len(prepared) > _BIG:
            texts = await dependencies.slices.map(write_new, prepared)
            callbacks = await dependencies.batch_queue.keep(account_sid, prepared, texts)
        else:
            callbacks = await self._keep(account_sid, prepared)
        shown = await dependencies.slices.map(_show, zip(callbacks, new, strict=True))
        return json_answer({"callbacks": shown}, 201)

    def _prepare(
        self, item: Json, at: str, account_sid: str, caller: Principal, context: OperationContext
    ) -> _Prepared:
        """Parse one item of a batch, and return its callback; raises InvalidParameter."""
        url, method, parameters, body, key, due, order_key = read_one(
            item, at, read_url=self._dependencies.read_url, now=context.now
        )
        callback = context.compose(
            *(body, account_sid, url, method),
            due=due,
            idempotency_key=key,
            order_key=order_key,
            created_by=caller.actor.id,
        )
        return callback, parameters

    def _keep(
        self, account_sid: str, callbacks: list[CallbackRecord]
    ) -> asyncio.Future[list[CallbackRecord]]:
        callback_queue = self._dependencies.callback_queue
        callback_queue.make_room(account_sid, len(callbacks))
        kept = self._dependencies.store.transact(
            lambda tx: send_callbacks(tx, callbacks, callback_queue),
            # A key may be anywhere in its index, so finding it may take a read from the disk.
            is_quick=all(callback.idempotency_key is None for callback in callbacks),
        )
        return asyncio.ensure_future(kept)  # the same, if it is a future already


def _show(kept: tuple[CallbackRecord, _Prepared]) -> dict[str, Any]:
    callback, (prepared, parameters) = kept
    # With a repeated idempotency key this is the first callback, with other parameters.
    is_as_asked = callback.body == prepared.body
    return show_callback(callback, parameters if is_as_asked else None)
