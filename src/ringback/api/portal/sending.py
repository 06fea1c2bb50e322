"""Callbacks as a service: `POST /portal/v1/callbacks` keeps and sends an operator's own events."""

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from ringback.api.json_bodies import Json, check_names, read_json
from ringback.api.portal.new_callbacks import Asked, read_many, read_one
from ringback.api.portal.records import show_callback
from ringback.api.representation import json_answer
from ringback.api.services import Services
from ringback.api.sign_in import account_of
from ringback.core.callback import Callback
from ringback.operations.sending import NewCallback, send_callbacks

MAX_BODY: Final = 1024 * 1024


class Sending:
    """Takes new callbacks in."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def send(self, request: Request) -> Response:
        """Keep one callback or many, all or none: 201, which means durable."""
        account = await account_of(request, self._services.sign_ins)
        body, document = await read_json(request, most=MAX_BODY)
        is_batch = isinstance(document, dict) and "callbacks" in document
        asked = self._read(document)
        check_names(body, document)
        callbacks = await self._send(account.sid, [each.new for each in asked])
        shown = list(map(_show, callbacks, asked))
        return json_answer({"callbacks": shown} if is_batch else shown[0], 201)

    def _read(self, document: Json) -> list[Asked]:
        read_url, now = self._services.read_url, self._services.clock.now()
        if isinstance(document, dict) and "callbacks" in document:
            return read_many(document, read_url=read_url, now=now)
        return [read_one(document, read_url=read_url, now=now)]

    async def _send(self, account_sid: str, wanted: list[NewCallback]) -> list[Callback]:
        services = self._services
        services.intake.make_room(account_sid, len(wanted))
        moment = services.moment()
        return await services.store.transact(
            lambda tx: send_callbacks(
                tx,
                account_sid,
                wanted,
                transition=moment.transition,
                now=moment.now,
                chance=moment.chance,
                intake=moment.intake,
            )
        )


def _show(callback: Callback, asked: Asked) -> dict[str, Any]:
    # One that its key led to tells what its own request said.
    is_as_asked = callback.body == asked.new.body
    return show_callback(callback, asked.parameters if is_as_asked else None)
