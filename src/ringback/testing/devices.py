"""Play a SIM's device in a test: send messages, use data, download eSIM Profiles."""

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
    """Runs an operation in a transaction, and waits until its changes are durable."""

    def __call__(self, work: Callable[[Transaction, OperationContext], T]) -> T:
        """Return the result of `work`, or raise its exception."""
        ...


@dataclass(frozen=True, slots=True)
class Device:
    """The device of one SIM: a test calls its methods to send messages, use data and so on.

    Each method raises InvalidParameter if the network would refuse the action, or if only the other
    product (Super SIM or Programmable Wireless) has this action.
    """

    account_sid: str
    sim: str
    """The SID or the unique name of the device's SIM."""
    change: TransactionRunner
    """Runs operations that change data."""
    look: TransactionRunner
    """Runs operations that only read, after all pending work has been done."""

    def send_sms(self, text: str) -> SmsCommand:
        """Send an SMS from a Super SIM; causes a callback to the fleet's SmsCommandsUrl."""
        return self.change(
            lambda tx, context: supersim.receive_sms(tx, self._sim(tx), text, context)
        )

    def send_datagram(self, payload: bytes, *, port: int = 4000) -> IpCommand:
        """Send a datagram from a Super SIM; causes a callback to the fleet's IpCommandsUrl."""
        return self.change(
            lambda tx, context: supersim.receive_datagram(
                tx, self._sim(tx), payload, port=port, context=context
            )
        )

    def send_command(self, payload: str | bytes) -> WirelessCommand:
        """Send a Command from a Programmable Wireless SIM: a text, or binary for bytes.

        Causes a callback to the SIM's CommandsCallbackUrl.
        """

        def send(tx: Transaction, context: OperationContext) -> WirelessCommand:
            sim = any_sim.wireless_of(tx, self.account_sid, self.sim)
            if isinstance(payload, str):
                return wireless.receive_text(tx, sim, payload, context)
            return wireless.receive_bytes(tx, sim, payload, context)

        return self.change(send)

    def messages(self) -> list[bytes]:
        """Return the payloads of the SMS or Commands that the device received, newest first."""
        newest = self.look(lambda tx, _: any_sim.inbox_of(tx, self._any_sim(tx)))
        return [one.message for one in newest]

    def use_data(self, *, upload: int = 0, download: int = 0) -> None:
        """Let the device upload and download these numbers of bytes at once."""
        self.change(
            lambda tx, context: any_sim.transfer_data(
                tx, self._any_sim(tx), upload=upload, download=download, context=context
            )
        )

    def download_profile(self, sid: str) -> EsimProfile:
        """Download the available eSIM Profile with this SID, and return it."""
        return self.change(
            lambda tx, context: supersim.download_profile(tx, self.account_sid, sid, context)
        )

    def _any_sim(self, tx: Transaction) -> any_sim.EitherSim:
        return any_sim.fetch_any_sim(tx, self.account_sid, self.sim)

    def _sim(self, tx: Transaction) -> SuperSim:
        return any_sim.supersim_of(tx, self.account_sid, self.sim)
