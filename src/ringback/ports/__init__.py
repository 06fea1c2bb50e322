"""Every boundary, as small Protocols: what the inside needs from the outside.

May import `core`.
Start with `store`, then `callbacks`.
"""

from ringback.ports.callbacks import (
    CallbackBatches,
    CallbackFilter,
    Callbacks,
    Claim,
    DeliveryTotals,
    Lane,
    LaneDue,
    Settlement,
    StoredResponseBytes,
    StoredResponses,
    lane_of,
)
from ringback.ports.records import (
    DataFlows,
    FieldFilter,
    NamedRecords,
    PageRequest,
    PendingUpdates,
    RecordPage,
    Records,
    ScheduledTasks,
)
from ringback.ports.runtime import Carrier, Clock, Notifier, RandomSource, Transport, no_checkpoint
from ringback.ports.shadows import ComparedShadow, ShadowCallbacks, ShadowFilter
from ringback.ports.sim_tables import SuperSimTables, WirelessTables
from ringback.ports.store import (
    Accounts,
    ApiClients,
    CallbackBatchQueue,
    CallbackQueue,
    CommitHooks,
    ScenarioChoices,
    SigningKeys,
    Store,
    TaskHandler,
    TokenSigningKey,
    Transaction,
    nothing,
)

__all__ = [
    "Accounts",
    "ApiClients",
    "CallbackBatchQueue",
    "CallbackBatches",
    "CallbackFilter",
    "CallbackQueue",
    "Callbacks",
    "Carrier",
    "Claim",
    "Clock",
    "CommitHooks",
    "ComparedShadow",
    "DataFlows",
    "DeliveryTotals",
    "FieldFilter",
    "Lane",
    "LaneDue",
    "NamedRecords",
    "Notifier",
    "PageRequest",
    "PendingUpdates",
    "RandomSource",
    "RecordPage",
    "Records",
    "ScenarioChoices",
    "ScheduledTasks",
    "Settlement",
    "ShadowCallbacks",
    "ShadowFilter",
    "SigningKeys",
    "Store",
    "StoredResponseBytes",
    "StoredResponses",
    "SuperSimTables",
    "TaskHandler",
    "TokenSigningKey",
    "Transaction",
    "Transport",
    "WirelessTables",
    "lane_of",
    "no_checkpoint",
    "nothing",
]
