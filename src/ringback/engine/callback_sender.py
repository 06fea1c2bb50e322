"""Renders a callback's request, signs it and sends it; whatever fails is an ending, too."""

import logging

from ringback.core.account import Account
from ringback.core.callback import Callback
from ringback.core.connection import Limits
from ringback.core.errors import SecretGone, SourceGone
from ringback.core.http_exchange import Exchange, OutgoingRequest
from ringback.core.infrastructure import Sources
from ringback.core.outcome import Failure, Unreachable
from ringback.core.rendering import render
from ringback.engine.keyring import Keyring
from ringback.ports import Clock, Transport

_log = logging.getLogger(__name__)


class CallbackSender:
    """Sends callbacks, signed by the secrets of the moment at which they leave."""

    def __init__(
        self, transport: Transport, *, signing_keys: Keyring, clock: Clock, sources: Sources
    ) -> None:
        self._transport = transport
        self._signing_keys = signing_keys
        self._clock = clock
        self._sources = sources

    async def render_and_send(
        self,
        callback: Callback,
        account: Account,
        *,
        limits: Limits,
        turn: int = 0,
        fresh: bool = False,
    ) -> tuple[Exchange, OutgoingRequest | None]:
        """Send it once; return how that ended, and the request as it was rendered last.

        It suspends only where the transport does; see `ports.Transport` for the arguments.
        """
        request: OutgoingRequest | None = None

        def rendered() -> OutgoingRequest:
            nonlocal request
            request = None
            newest = self._signing_keys.newest(account)
            at, sources = self._clock.now(), self._sources
            request = render(callback, account=newest, at=at, sources=sources)
            return request

        try:
            exchange = await self._transport.send(
                rendered(), limits=limits, turn=turn, fresh=fresh, anew=rendered
            )
        except SecretGone as gone:
            exchange = Exchange(Unreachable(Failure.SECRET, str(gone)))
        except SourceGone as gone:
            exchange = Exchange(Unreachable(Failure.SOURCE, str(gone)))
        except Exception as failure:  # noqa: BLE001 (such an attempt has to be settled, too)
            _log.exception("an attempt of %s failed", callback.sid)
            why = f"Ringback itself failed: {type(failure).__name__}"
            exchange = Exchange(Unreachable(Failure.INTERNAL, why))
        return exchange, request
