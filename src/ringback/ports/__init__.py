"""Every boundary, as small Protocols: what the inside needs from the outside.

May import `core`.
Start with `store`, then `callbacks`.
"""

# Everything that these modules define is public; a list of it here would only repeat them.
# ruff: noqa: F403

from ringback.ports.callbacks import *
from ringback.ports.record_tables import *
from ringback.ports.runtime import *
from ringback.ports.shadows import *
from ringback.ports.sim_tables import *
from ringback.ports.store import *
