"""Sending callbacks again over HTTP, and giving them up."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from ringback.api.forms import Parameters, read_form
from ringback.api.portal.records import show_callback
from ringback.api.portal.replay_forms import CHUNK, PARAMETERS, AskedReplays, read_replays
from ringback.api.representation import json_answer, with_unknown
from ringback.api.services import Services
from ringback.api.sign_in import account_of, charge_more
from ringback.core.errors import Overloaded
from ringback.operations.replay import (
    ANY,
    ENDED,
    Replay,
    Replays,
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
"""How many callbacks one call works through."""

_MOST_CHUNKS: Final = 400
"""Each may look at a thousand callbacks in vain."""
_LONGEST_REASON: Final = 200


class ReplayResource:
    """The operations on what was not delivered."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._store = services.store

    async def replay(self, request: Request) -> Response:
        """Send one callback again: 200, or 201 where that is a new one from the other source."""
        account = await account_of(request, self._services.sign_ins)
        form = await read_form(request, ("AsOtherSource",))
        is_new = form.is_yes("AsOtherSource")
        statuses = ENDED if is_new else ANY
        sid, send_again = request.path_params["sid"], self._replay_of(form)
        self._services.intake.make_room(account.sid, 1)
        callback = await self._store.transact(
            lambda tx: replay_callback(tx, account.sid, sid, send_again, statuses=statuses)
        )
        answer = json_answer(show_callback(callback), 201 if is_new else 200)
        return with_unknown(form, answer)

    async def discard(self, request: Request) -> Response:
        """End a callback that shall not be sent any more: 200."""
        account = await account_of(request, self._services.sign_ins)
        form = await read_form(request, ("Reason",))
        form.required("Reason")
        why = form.label("Reason", longest=_LONGEST_REASON) or ""
        sid, services = request.path_params["sid"], self._services
        callback = await self._store.transact(
            lambda tx: discard_callback(
                tx, account.sid, sid, why, now=services.clock.now(), intake=services.intake
            )
        )
        return with_unknown(form, json_answer(show_callback(callback)))

    async def replay_many(self, request: Request) -> Response:
        """Send those again that are named, or all since an instant: 200, with the counts."""
        account = await account_of(request, self._services.sign_ins)
        form = await read_form(request, PARAMETERS)
        asked = read_replays(form, now=self._services.clock.now(), sources=self._services.sources)
        send_again = _dry_run_of(form) if asked.is_dry else self._replay_of(form)
        done, is_all = await self._work_through(request, account.sid, asked, send_again)
        answer = {
            "dry_run": asked.is_dry,
            "matched": done.matched,
            "replayed": done.replayed,
            "skipped": done.skipped,
            "next": None if is_all else _next(asked, done),
        }
        return with_unknown(form, json_answer(answer))

    def _replay_of(self, form: Parameters) -> Replay:
        services = self._services
        now, intake = services.clock.now(), services.intake
        if form.is_yes("AsOtherSource"):
            chance, sources = services.moment().chance, services.sources
            return from_other_source(now=now, chance=chance, intake=intake, sources=sources)
        return from_same_source(now=now, intake=intake)

    async def _work_through(
        self, request: Request, account_sid: str, asked: AskedReplays, send_again: Replay
    ) -> tuple[Replays, bool]:
        """Replay chunk by chunk; return what came of it, and whether that was all."""
        done = Replays(last=asked.after)
        for _ in range(_MOST_CHUNKS):
            try:
                if not asked.is_dry:
                    self._services.intake.make_room(account_sid, CHUNK)
                    charge_more(request, self._services.sign_ins, len(asked.sids) or CHUNK)
            except Overloaded:
                if done.matched:
                    return done, False
                raise
            chunk = await self._chunk(account_sid, asked, send_again, after=done.last)
            done += chunk
            if not done.has_more:
                return done, True
            if done.matched >= MOST_AT_ONCE:
                break
        return done, False

    async def _chunk(
        self, account_sid: str, asked: AskedReplays, send_again: Replay, *, after: str | None
    ) -> Replays:
        if asked.sids:
            return await self._store.transact(
                lambda tx: replay_named(
                    tx, account_sid, asked.sids, send_again, statuses=asked.statuses
                )
            )

        def work(tx: Transaction) -> Replays:
            return replay_oldest(tx, account_sid, asked.which, send_again, after=after, limit=CHUNK)

        if asked.is_dry:
            return await self._store.read(work, asked_by=account_sid)
        return await self._store.transact(work)


def _dry_run_of(form: Parameters) -> Replay:
    return only_look_at_other if form.is_yes("AsOtherSource") else only_look


def _next(asked: AskedReplays, done: Replays) -> dict[str, str | None]:
    """Return the parameters that a call to go on has beside its own."""
    until = asked.which.until
    return {"After": done.last, "Until": until and f"{until:%Y-%m-%dT%H:%M:%S.%fZ}"}
