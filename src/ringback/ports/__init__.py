"""All interfaces (Protocols) between the core and the outside, such as database and network.

May import `core`.
Start with `store`, then `callbacks`.
"""

# Everything that these modules define is public; a list here would only repeat the names.
# ruff: noqa: F403

from ringback.ports.audit import *
from ringback.ports.callbacks import *
from ringback.ports.cluster import *
from ringback.ports.counters import *
from ringback.ports.destinations import *
from ringback.ports.record_tables import *
from ringback.ports.retention import *
from ringback.ports.runtime import *
from ringback.ports.shadows import *
from ringback.ports.sim_tables import *
from ringback.ports.store import *
from ringback.ports.streams import *
