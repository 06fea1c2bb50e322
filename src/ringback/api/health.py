"""Whether this process is alive, and whether it can do its work: `/healthz` and `/readyz`.

Nobody signs in for these, since what asks them is a machine's supervisor or a load balancer; they
belong behind the operator's firewall.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from ringback.api.operation_definition import resource
from ringback.core.errors import StoreUnavailable

_PATIENCE: Final = 2.0
"""Seconds that a commit may take; who asks mostly gives up soon after."""

_NOT_RUNNING: Final = "the engine does not run; the log says why"


@dataclass(eq=False, kw_only=True)
class HealthChecks:
    """Answers the probes of a supervisor.

    `commit` has the store commit something, and raises StoreUnavailable where it can't;
    `is_running` says whether all loops of the engine are going.
    """

    commit: Callable[[], Awaitable[object]]
    is_running: Callable[[], bool]
    patience: float = _PATIENCE

    async def alive(self, request: Request) -> Response:
        """Answer 200: the process runs, or there would be no answer."""
        return JSONResponse({"status": "alive"})

    async def ready(self, request: Request) -> Response:
        """Answer 200 where callbacks are taken in and sent; else 503, with the reason."""
        reason = await self._store_fault() if self.is_running() else _NOT_RUNNING
        if reason is not None:
            return JSONResponse({"status": "not ready", "reason": reason}, 503)
        return JSONResponse({"status": "ready"})

    async def _store_fault(self) -> str | None:
        try:
            async with asyncio.timeout(self.patience):
                await self.commit()
        except StoreUnavailable as failure:
            return str(failure)
        except TimeoutError:
            return f"the database did not commit within {self.patience:g} s"
        return None


def health_routes(health: HealthChecks) -> list[BaseRoute]:
    """Return the routes for supervisors."""
    return [resource("/healthz", get=health.alive), resource("/readyz", get=health.ready)]
