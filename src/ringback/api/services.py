"""What the resources of every API work with."""

from dataclasses import dataclass

from ringback.core.source import Transition
from ringback.ports import Carrier, Chance, Clock, Store, Wakeup


@dataclass(frozen=True, slots=True)
class Services:
    """The running parts behind the APIs."""

    store: Store
    carrier: Carrier
    transition: Transition
    clock: Clock
    chance: Chance
    progress: Wakeup
    dispatcher: Wakeup
