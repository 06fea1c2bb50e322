"""Whether this process is alive, and whether it can do its work: `/healthz` and `/readyz`.

Nobody signs in for these, since what asks them is a machine's supervisor or a load balancer; they
belong behind the operator's firewall.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from ringback.api.operation import resource
from ringback.core.errors import StoreUnavailable

_PATIENCE: Final = 2.0
"""Seconds that a commit may take; who asks mostly gives up soon after."""

_NOT_RUNNING: Final = "the engine does not run; the log says why"


class HealthChecks:
    """What a supervisor asks.

    `commit` has the store commit something, and raises StoreUnavailable where it can't;
    `is_running` says whether all loops of the engine are going.
    """

    def __init__(
        self,
        *,
        commit: Callable[[], Awaitable[object]],
        is_running: Callable[[], bool],
        patience: float = _PATIENCE,
    ) -> None:
        self._commit = commit
        self._is_running = is_running
        self._patience = patience

    async def alive(self, request: Request) -> Response:
        """Answer 200: that this is answered at all is the news."""
        return JSONResponse({"status": "alive"})

    async def ready(self, request: Request) -> Response:
        """Answer 200 where callbacks are taken in and sent; else 503, with the reason."""
        reason = await self._store_fault() if self._is_running() else _NOT_RUNNING
        if reason is not None:
            return JSONResponse({"status": "not ready", "reason": reason}, 503)
        return JSONResponse({"status": "ready"})

    async def _store_fault(self) -> str | None:
        try:
            async with asyncio.timeout(self._patience):
                await self._commit()
        except StoreUnavailable as failure:
            return str(failure)
        except TimeoutError:
            return f"the database did not commit within {self._patience:g} s"
        return None


def health_routes(health: HealthChecks) -> list[BaseRoute]:
    """Return the routes for supervisors."""
    return [
        resource("/healthz", get=health.alive),
        resource("/readyz", get=health.ready),
    ]
