"""Playing a SIM's device: what it sends, uses and downloads."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from ringback.core.supersim.command import IpCommand, SmsCommand
from ringback.core.supersim.esim_profile import EsimProfile
from ringback.core.supersim.sim import Sim
from ringback.operations.moment import Moment
from ringback.operations.supersim.devices import (
    download_profile,
    receive_datagram,
    receive_sms,
    transfer_data,
)
from ringback.operations.supersim.sims import fetch_sim
from ringback.ports import Transaction

T = TypeVar("T")


class Changes(Protocol):
    """Runs an operation, and waits until it is durable."""

    def __call__(self, work: Callable[[Transaction, Moment], T]) -> T:
        """Return what the work returns; raises what it raises."""
        ...


@dataclass(frozen=True, slots=True)
class Device:
    """The device of one SIM; what it can't do raises Invalid, as the network would refuse it."""

    account_sid: str
    sim: str
    """The SID or the unique name of its SIM."""
    change: Changes

    def send_sms(self, text: str) -> SmsCommand:
        """Send an SMS; the fleet's SmsCommandsUrl is told of it."""
        return self.change(lambda tx, moment: receive_sms(tx, self._sim(tx), text, moment))

    def send_datagram(self, payload: bytes, *, port: int = 4000) -> IpCommand:
        """Send a datagram from this port; the fleet's IpCommandsUrl is told of it."""
        return self.change(
            lambda tx, moment: receive_datagram(
                tx, self._sim(tx), payload, port=port, moment=moment
            )
        )

    def use_data(self, *, upload: int = 0, download: int = 0) -> None:
        """Use so many bytes at once."""
        self.change(
            lambda tx, moment: transfer_data(
                tx, self._sim(tx), upload=upload, download=download, moment=moment
            )
        )

    def download_profile(self, sid: str) -> EsimProfile:
        """Download an eSIM Profile that is available."""
        return self.change(lambda tx, moment: download_profile(tx, self.account_sid, sid, moment))

    def _sim(self, tx: Transaction) -> Sim:
        return fetch_sim(tx, self.account_sid, self.sim)
