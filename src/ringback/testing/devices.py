"""Playing a SIM's device: what it sends, uses and downloads."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from ringback.core.supersim.command import IpCommand, SmsCommand
from ringback.core.supersim.esim_profile import EsimProfile
from ringback.core.supersim.sim import SuperSim
from ringback.core.wireless.command import WirelessCommand
from ringback.operations import any_sim
from ringback.operations.context import OperationContext
from ringback.operations.supersim import device_actions as supersim
from ringback.operations.wireless import device_actions as wireless
from ringback.ports import Transaction

T = TypeVar("T")


class TransactionRunner(Protocol):
    """Runs an operation, and waits until it is durable."""

    def __call__(self, work: Callable[[Transaction, OperationContext], T]) -> T:
        """Return the result of the work, or raise its exception."""
        ...


@dataclass(frozen=True, slots=True)
class Device:
    """The device of one SIM; it raises InvalidParameter for what the network would refuse.

    What only one product has raises InvalidParameter for a SIM of the other.
    """

    account_sid: str
    sim: str
    """The SID or the unique name of its SIM."""
    change: TransactionRunner
    look: TransactionRunner
    """Runs what only looks, once nothing more happens by itself."""

    def send_sms(self, text: str) -> SmsCommand:
        """Send an SMS from a Super SIM; the fleet's SmsCommandsUrl is told of it."""
        return self.change(
            lambda tx, context: supersim.receive_sms(tx, self._sim(tx), text, context)
        )

    def send_datagram(self, payload: bytes, *, port: int = 4000) -> IpCommand:
        """Send a datagram from a Super SIM; the fleet's IpCommandsUrl is told of it."""
        return self.change(
            lambda tx, context: supersim.receive_datagram(
                tx, self._sim(tx), payload, port=port, context=context
            )
        )

    def send_command(self, payload: str | bytes) -> WirelessCommand:
        """Send a Command from a Programmable Wireless SIM, as text, or binary where it is bytes.

        The SIM's CommandsCallbackUrl is told of it.
        """

        def send(tx: Transaction, context: OperationContext) -> WirelessCommand:
            sim = any_sim.wireless_of(tx, self.account_sid, self.sim)
            if isinstance(payload, str):
                return wireless.receive_text(tx, sim, payload, context)
            return wireless.receive_bytes(tx, sim, payload, context)

        return self.change(send)

    def messages(self) -> list[bytes]:
        """Return the newest SMS or Commands that have come to it, the newest first."""
        newest = self.look(lambda tx, _: any_sim.inbox_of(tx, self._any_sim(tx)))
        return [one.message for one in newest]

    def use_data(self, *, upload: int = 0, download: int = 0) -> None:
        """Use so many bytes at once."""
        self.change(
            lambda tx, context: any_sim.transfer_data(
                tx, self._any_sim(tx), upload=upload, download=download, context=context
            )
        )

    def download_profile(self, sid: str) -> EsimProfile:
        """Download an eSIM Profile that is available."""
        return self.change(
            lambda tx, context: supersim.download_profile(tx, self.account_sid, sid, context)
        )

    def _any_sim(self, tx: Transaction) -> any_sim.EitherSim:
        return any_sim.fetch_any_sim(tx, self.account_sid, self.sim)

    def _sim(self, tx: Transaction) -> SuperSim:
        return any_sim.supersim_of(tx, self.account_sid, self.sim)
