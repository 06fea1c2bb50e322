"""Lets one of the processes that share a store have the UDP gateway, and carry out all tasks."""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from ringback.carrier.simulated_carrier import SimulatedCarrier
from ringback.core.errors import ConfigurationError, StoreUnavailable
from ringback.core.scheduled_task import CarrierRequest
from ringback.core.sims.scenario import CarrierResult
from ringback.ports import Carrier, Cluster

if TYPE_CHECKING:
    from ringback.carrier.udp_gateway import Received, UdpGateway

_DUTY: Final = "UDP gateway"
"""The name of the lease."""
_ASK_EVERY: Final = 3.0
"""Seconds between two extensions of the lease, or tries to get it."""
_TRUSTED_FOR: Final = 10.0
"""For how many seconds the lease is relied on while the database can't be reached."""

_log = logging.getLogger(__name__)


@dataclass(eq=False, kw_only=True)
class GatewayDuty:
    """Runs the UDP gateway and the tasks while this process has the lease on them.

    Devices send to one address, so only one process can receive. It also carries out the tasks,
    since it has to send the IP Commands. Implements `ports.Carrier` for these tasks.
    """

    cluster: Cluster
    open_gateway: "Callable[[], UdpGateway]"
    """Binds the gateway's socket; raises ConfigurationError if that fails."""
    drain: timedelta
    """How long a process that loses the lease handles datagrams that have arrived already."""

    def __post_init__(self) -> None:
        """Begin without the lease."""
        self.gateway: UdpGateway | None = None
        """The open gateway; None while another process has the lease."""
        self._last_held = 0.0
        self._simulated = SimulatedCarrier()

    async def carry_out(self, carrier_request: CarrierRequest) -> CarrierResult:
        """Carry out a request through the gateway; see `ports.Carrier`."""
        carrier: Carrier = self.gateway or self._simulated
        return await carrier.carry_out(carrier_request)

    async def run(
        self, run_tasks: Callable[[], Coroutine[Any, Any, None]], receive: "Received"
    ) -> None:
        """Do the duty whenever this process has the lease, for ever.

        `run_tasks` carries out tasks until it is cancelled; `receive` handles datagrams.
        """
        while True:
            if await self._has_lease():
                try:
                    await self._serve(run_tasks, receive)
                except ConfigurationError as problem:
                    _log.error("%s", problem)
            await asyncio.sleep(_ASK_EVERY)

    async def _serve(
        self, run_tasks: Callable[[], Coroutine[Any, Any, None]], receive: "Received"
    ) -> None:
        self.gateway = gateway = self.open_gateway()
        gateway.start(receive)
        _log.info("this process has the UDP gateway now, at %s", gateway.shown_address)
        tasks = asyncio.create_task(run_tasks())
        try:
            while not tasks.done() and await self._has_lease():
                await asyncio.wait({tasks}, timeout=_ASK_EVERY)
        finally:
            tasks.cancel()
            self.gateway = None
            await gateway.stop_receiving(within=self.drain)
            gateway.close()

    async def _has_lease(self) -> bool:
        try:
            is_held = await self.cluster.hold(_DUTY)
        except StoreUnavailable:
            return time.monotonic() < self._last_held + _TRUSTED_FOR
        self._last_held = time.monotonic() if is_held else 0.0
        return is_held
