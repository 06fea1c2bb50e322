"""Renders, signs and sends a callback's request; failures are returned as outcomes, not raised."""

import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from ringback.core.accounts.account import Account
from ringback.core.callback_urls.connection_overrides import Timeouts
from ringback.core.callbacks.callback import CallbackRecord
from ringback.core.callbacks.rendering import render
from ringback.core.errors import (
    CallbackSourceNotConfigured,
    DestinationHeld,
    LeaseLost,
    SecretDamaged,
    SecretNotFound,
)
from ringback.core.http.connection_profile import NO_PROFILE
from ringback.core.http.http_exchange import AttemptResult, OutgoingRequest
from ringback.core.http.outcome import AttemptFailure, NoAnswerOutcome
from ringback.core.sources.source_definition import Sources
from ringback.delivery.current_signing_keys import CurrentSigningKeys
from ringback.delivery.lane_valve import LaneValve
from ringback.ports import Clock, Cluster, DeliveryClaim, SoleProcess, Transport
from ringback.runtime.sending_gate import SendingGate

_log = logging.getLogger(__name__)


Sent = tuple[AttemptResult, OutgoingRequest | None]
"""The result of an attempt, and the request that was sent; None if there is none."""
Sending = Callable[[], Coroutine[Any, Any, None]]
"""Sends a callback, and reports the result."""


@dataclass(eq=False)
class CallbackSender:
    """Sends callbacks, signed with the secrets that are valid when each request leaves."""

    transport: Transport
    signing_keys: CurrentSigningKeys
    clock: Clock
    sources: Sources
    cluster: Cluster = field(default_factory=SoleProcess)
    gate: SendingGate = field(default_factory=SendingGate)

    def send(
        self,
        claim: DeliveryClaim,
        at: datetime | None = None,
        valve: LaneValve | None = None,
        *,
        limits: Timeouts,
        turn: int = 0,
        ended: Callable[[Sent], None],
    ) -> Sending | None:
        """Send a claimed callback once over a kept connection, if one is idle, and return None.

        Otherwise return a function that sends the callback; the caller has to await it in a task.
        In both cases, `ended` is called once, after this has returned. `at` is the current time, if
        the caller knows it. `valve` is that of the claim's lane, and has to be open when the
        request leaves.
        """
        callback, account, _, fresh, *_ = claim
        try:
            now = at or self.clock.now()
            request = None if fresh else self._render(callback, account, now, claim.lease, valve)
            is_sent = request is not None and self.transport.try_send(
                request, limits=limits, turn=turn, ended=lambda result: ended((result, request))
            )
        except Exception:  # noqa: BLE001 (`render_and_send` fails in the same way)
            is_sent = False
        if is_sent:
            if valve is not None and not valve.is_wide:
                valve.left(callback.sid)
            return None

        async def send() -> None:
            how = self.render_and_send(
                *(callback, account),
                limits=limits,
                turn=turn,
                fresh=fresh,
                lease=claim.lease,
                valve=valve,
            )
            ended(await how)

        return send

    async def render_and_send(
        self,
        callback: CallbackRecord,
        account: Account,
        *,
        limits: Timeouts,
        turn: int = 0,
        fresh: bool = False,
        lease: int = 0,
        valve: LaneValve | None = None,
    ) -> Sent:
        """Send a callback once; return the result, and the request that was sent.

        If the request has to wait for a connection, it is rendered again, and the new request is
        sent and returned. If rendering fails, None is returned in place of the request. Failures
        are returned as results, not raised. `ports.Transport` explains the arguments.
        """
        request: OutgoingRequest | None = None

        def rendered() -> OutgoingRequest:
            nonlocal request
            request = None
            request = self._render(callback, account, self.clock.now(), lease, valve)
            return request

        leaving = None
        if valve is not None and not valve.is_wide:
            leaving = partial(valve.left, callback.sid)

        try:
            exchange = await self.transport.send(
                rendered(), limits=limits, turn=turn, fresh=fresh, anew=rendered, leaving=leaving
            )
        except SecretDamaged as damaged:
            failure = AttemptFailure.SECRET
            if valve is not None:
                valve.not_signed(str(damaged))
                failure = AttemptFailure.HELD
            exchange = AttemptResult(NoAnswerOutcome(failure, str(damaged)))
        except SecretNotFound as gone:
            exchange = AttemptResult(NoAnswerOutcome(AttemptFailure.SECRET, str(gone)))
        except CallbackSourceNotConfigured as gone:
            exchange = AttemptResult(NoAnswerOutcome(AttemptFailure.SOURCE, str(gone)))
        except DestinationHeld as held:
            exchange = AttemptResult(NoAnswerOutcome(AttemptFailure.HELD, str(held)))
        except LeaseLost as lost:
            exchange = AttemptResult(NoAnswerOutcome(AttemptFailure.LEASE, str(lost)))
        except Exception as failure:  # noqa: BLE001 (this attempt must be settled, too)
            _log.exception(
                "an attempt of callback %s failed because of an internal error", callback.sid
            )
            why = f"Ringback failed with an internal error: {type(failure).__name__}"
            exchange = AttemptResult(NoAnswerOutcome(AttemptFailure.INTERNAL, why))
        return exchange, request

    def _render(
        self,
        callback: CallbackRecord,
        account: Account,
        at: datetime,
        lease: int,
        valve: LaneValve | None,
    ) -> OutgoingRequest:
        # The request is written at once after this, so the checks come as late as they can.
        if not self.gate.is_open:
            raise LeaseLost("an operator has paused the server")
        if not self.cluster.may_send(callback.url.destination, lease):
            raise LeaseLost(
                f"the lease on {callback.url.destination} has ended, because the database could not"
                " be reached in time"
            )
        if valve is not None and not valve.is_wide and not valve.may_leave(callback.sid, at):
            raise DestinationHeld(valve.why(at) or "the rate of its destination was lowered")
        newest = self.signing_keys.newest(account)
        profile = NO_PROFILE if valve is None else valve.settings.profile
        return render(callback, account=newest, at=at, sources=self.sources, profile=profile)
