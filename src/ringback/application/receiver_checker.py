"""Checks receivers in a server, with the probe's quick check, and names the faults it finds."""

import asyncio
from dataclasses import dataclass, field
from typing import Final

from ringback.application.process_dependencies import ProcessDependencies
from ringback.core.accounts.account import Account
from ringback.core.callback_urls.connection_overrides import Timeouts
from ringback.core.errors import Conflict
from ringback.core.policy.receiver_evidence import ReceiverCheck
from ringback.core.policy.source_policy import SourceName
from ringback.operations.callback_destinations import CallbackUrlAndMethod
from ringback.ports import Transport

_LIMITS: Final = Timeouts(connect=5.0, read=15.0, total=15.0)
_AT_ONCE: Final = 8
"""How many checks that requests ask for run at the same time."""

# The code of the probe is imported for the first check: few servers need it.


@dataclass(frozen=True, slots=True)
class ReceiverChecker:
    """Sends the requests of quick checks by the server's own HTTP client, with its SSRF guard."""

    process: ProcessDependencies
    transport: Transport
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))

    async def check(
        self, account: Account, to: CallbackUrlAndMethod, source: SourceName
    ) -> ReceiverCheck:
        """Check whether the receiver at a URL is ready for a source."""
        from ringback.probe.quick_check import quick_check  # noqa: PLC0415 (see above)

        fault = await quick_check(
            to.url,
            method=to.method,
            source=source,
            account=account,
            transport=self.transport,
            limits=_LIMITS,
            random_source=self.process.random_source,
            now=self.process.clock.now(),
            sources=self.process.settings.sources,
        )
        return ReceiverCheck(
            account.sid,
            to.url.wire,
            source,
            self.process.clock.now(),
            None if fault is None else fault.kind.label,
            "" if fault is None else fault.words,
        )

    async def check_asked(
        self, account: Account, to: CallbackUrlAndMethod, source: SourceName
    ) -> ReceiverCheck:
        """Do the same for a request; raises Conflict while the server is paused."""
        async with self._slots:
            if not self.process.gate.is_open:
                raise Conflict(
                    "the server is paused and sends nothing: check again when it is resumed"
                )
            return await self.check(account, to, source)


def fix_of(fault: str) -> str | None:
    """Return how to fix the fault with this name; None for an unknown name."""
    from ringback.probe.receiver_faults import ReceiverFaultKind  # noqa: PLC0415 (see above)

    return next((kind.mend for kind in ReceiverFaultKind if kind.label == fault), None)
