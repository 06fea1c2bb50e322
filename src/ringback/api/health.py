"""The routes for monitoring: `/healthz` (the process is alive), `/readyz`, and `/metrics`.

`/readyz` says whether the server can do its work. Process supervisors, load balancers and
Prometheus call these routes without credentials. The operator's firewall should block them from
outside.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from ringback.api.errors import answer
from ringback.api.operation_definition import resource
from ringback.core.errors import StoreUnavailable
from ringback.ports import SendingPause

if TYPE_CHECKING:
    from ringback.api.metrics import PrometheusMetrics

_PATIENCE: Final = 2.0
"""Maximum seconds to wait for a commit; most supervisors give up soon after that."""

_MOST_CLOCK_DIFFERENCE: Final = timedelta(minutes=1)
"""Owners of callbacks search for those that came due within this time before now."""

_NOT_RUNNING: Final = "the delivery engine is not running; the log has the reason"


@dataclass(eq=False, kw_only=True)
class HealthChecks:
    """Answers the health checks of a supervisor.

    `commit` commits something to the database, and raises StoreUnavailable if that fails.
    `is_running` returns True while the engine delivers callbacks and runs tasks.
    """

    commit: Callable[[], Awaitable[object]]
    is_running: Callable[[], bool]
    clock_difference: Callable[[], timedelta] = timedelta
    """Returns how far this machine's clock is ahead of the database's."""
    is_stopping: Callable[[], bool] = lambda: False
    """Returns True once the server is about to stop, and clients should leave it."""
    pause: Callable[[], SendingPause | None] = lambda: None
    """Returns why the server is paused; None if it is not."""
    silence: Callable[[], str | None] = lambda: None
    """Returns why the database is taken for silent; None if it is not."""
    patience: float = _PATIENCE

    async def alive(self, request: Request) -> Response:
        """Respond 200 always: a process that can respond is alive."""
        return JSONResponse({"status": "alive"})

    async def ready(self, request: Request) -> Response:
        """Respond 200 if callbacks can be accepted and sent; otherwise 503, with the reason.

        A paused server is ready: it accepts callbacks, and `paused` says why it sends none.
        """
        reason = await self._fault()
        if reason is not None:
            return JSONResponse({"status": "not ready", "reason": reason}, 503)
        pause = self.pause()
        return JSONResponse({"status": "ready"} | ({"paused": pause.reason} if pause else {}))

    async def _fault(self) -> str | None:
        """Return why the server can't do its work, or not for long; None if it can."""
        if self.is_stopping():
            return "the server is stopping"
        if not self.is_running():
            return _NOT_RUNNING
        ahead = self.clock_difference()
        if abs(ahead) > _MOST_CLOCK_DIFFERENCE:
            return (
                f"this machine's clock is {abs(ahead).total_seconds():.0f} s"
                f" {'ahead of' if ahead > timedelta(0) else 'behind'} the database's, and"
                f" {_MOST_CLOCK_DIFFERENCE.total_seconds():.0f} s are allowed; set the clocks"
            )
        return await self._store_fault()

    async def _store_fault(self) -> str | None:
        if (silence := self.silence()) is not None:
            return silence
        try:
            async with asyncio.timeout(self.patience):
                await self.commit()
        except StoreUnavailable as failure:
            return str(failure)
        except TimeoutError:
            return f"the database did not commit within {self.patience:g} s"
        return None


def health_routes(health: HealthChecks) -> list[BaseRoute]:
    """Return the routes `/healthz` and `/readyz`."""
    return [resource("/healthz", get=health.alive), resource("/readyz", get=health.ready)]


def app_before_start(reason: Callable[[], str]) -> ASGIApp:
    """Return an application that is alive, but not ready, for the reason that `reason` returns."""

    async def not_ready(request: Request) -> Response:
        return JSONResponse({"status": "not ready", "reason": reason()}, 503)

    def refuse(request: Request, _: Exception) -> Response:
        return answer(request, StoreUnavailable(reason()))

    async def alive(request: Request) -> Response:
        return JSONResponse({"status": "alive"})

    routes = [resource("/healthz", get=alive), resource("/readyz", get=not_ready)]
    return Starlette(routes=routes, exception_handlers={HTTPException: refuse})


def metrics_routes(make: "Callable[[], PrometheusMetrics]") -> list[BaseRoute]:
    """Return the route `/metrics`; the first request calls `make`, which may import much."""
    metrics = cache(make)

    async def show(request: Request) -> Response:
        return await metrics().show(request)

    return [resource("/metrics", get=show)]
