"""Every boundary, as small Protocols: what the inside needs from the outside."""

from ringback.ports.callbacks import (
    CallbackFilter,
    Callbacks,
    Claim,
    Lane,
    Settlement,
    Waiting,
    lane_of,
)
from ringback.ports.machine import (
    Carrier,
    Chance,
    Clock,
    Transport,
    Wakeup,
    no_checkpoint,
)
from ringback.ports.records import (
    NamedRecords,
    Records,
    Tasks,
    Which,
    Window,
)
from ringback.ports.store import (
    Accounts,
    Afterwards,
    Choices,
    Intake,
    LifeCycle,
    Sessions,
    SimUpdates,
    Store,
    Transaction,
    nothing,
)

__all__ = [
    "Accounts",
    "Afterwards",
    "CallbackFilter",
    "Callbacks",
    "Carrier",
    "Chance",
    "Choices",
    "Claim",
    "Clock",
    "Intake",
    "Lane",
    "LifeCycle",
    "NamedRecords",
    "Records",
    "Sessions",
    "Settlement",
    "SimUpdates",
    "Store",
    "Tasks",
    "Transaction",
    "Transport",
    "Waiting",
    "Wakeup",
    "Which",
    "Window",
    "lane_of",
    "no_checkpoint",
    "nothing",
]
