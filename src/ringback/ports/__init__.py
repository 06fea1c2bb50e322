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
    Flows,
    NamedRecords,
    Records,
    Tasks,
    Updates,
    Which,
    Window,
)
from ringback.ports.store import (
    Accounts,
    Afterwards,
    Choices,
    Intake,
    LifeCycle,
    Store,
    Transaction,
    nothing,
)
from ringback.ports.tables import SuperSimTables, WirelessTables

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
    "Flows",
    "Intake",
    "Lane",
    "LifeCycle",
    "NamedRecords",
    "Records",
    "Settlement",
    "Store",
    "SuperSimTables",
    "Tasks",
    "Transaction",
    "Transport",
    "Updates",
    "Waiting",
    "Wakeup",
    "Which",
    "Window",
    "WirelessTables",
    "lane_of",
    "no_checkpoint",
    "nothing",
]
