"""One request that is to leave: written, signed, and sent; whatever fails is an ending, too."""

import logging
from dataclasses import dataclass, field

from ringback.core.account import Account
from ringback.core.callback import Callback
from ringback.core.connection import Limits
from ringback.core.errors import SecretGone, SourceGone
from ringback.core.http_exchange import Exchange, OutgoingRequest
from ringback.core.infrastructure import BUILT_IN, Sources
from ringback.core.outcome import Failure, Unreachable
from ringback.core.rendering import render
from ringback.engine.keyring import Keyring
from ringback.ports import Clock, Transport

_log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class Letter:
    """The request of one attempt, signed each time it is written by the secrets of that moment."""

    callback: Callback
    account: Account
    keyring: Keyring
    clock: Clock
    sources: Sources = field(default_factory=lambda: BUILT_IN)
    request: OutgoingRequest | None = None
    """As it was written last."""

    def write(self) -> OutgoingRequest:
        """Write it anew."""
        self.request = None
        account = self.keyring.newest(self.account)
        self.request = render(
            self.callback, account=account, at=self.clock.now(), sources=self.sources
        )
        return self.request

    async def send(
        self, transport: Transport, *, limits: Limits, turn: int = 0, fresh: bool = False
    ) -> Exchange:
        """Write it, send it once, and return how that ended; see `ports.Transport`."""
        try:
            return await transport.send(
                self.write(), limits=limits, turn=turn, fresh=fresh, anew=self.write
            )
        except SecretGone as gone:
            return Exchange(Unreachable(Failure.SECRET, str(gone)))
        except SourceGone as gone:
            return Exchange(Unreachable(Failure.SOURCE, str(gone)))
        except Exception as failure:  # noqa: BLE001 (such an attempt has to be settled, too)
            _log.exception("an attempt of %s failed", self.callback.sid)
            why = f"Ringback itself failed: {type(failure).__name__}"
            return Exchange(Unreachable(Failure.INTERNAL, why))
