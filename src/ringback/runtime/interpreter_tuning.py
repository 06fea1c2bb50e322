"""Settings of the Python interpreter that suit a server: it starts and serves faster and safely."""

import gc
import sys
from typing import Final

# In seconds; Python's default of 5 ms is as long as a whole commit.
_TURN: Final = 0.0005
# Numbers of new objects after which the garbage collector runs; Python's default is 700.
_WHILE_STARTING: Final = 100_000
_WHILE_SERVING: Final = 20_000


def let_threads_take_turns() -> None:
    """Let Python switch threads more often, since the store's thread and the event loop compete."""
    sys.setswitchinterval(_TURN)


def collect_seldom_at_start() -> None:
    """Let the garbage collector run seldom: imports leave no garbage, but take a sixth longer."""
    gc.set_threshold(_WHILE_STARTING)


def collect_only_what_is_new() -> None:
    """Let the garbage collector skip all objects that exist now; call this when all is loaded.

    To look at the loaded modules again and again would take an eighth of the time of a request.
    """
    gc.freeze()
    gc.set_threshold(_WHILE_SERVING)


def write_no_bytecode() -> None:
    """Let Python keep no bytecode of modules that are imported from now on.

    On a full disk, Python 3.11 writes only the beginning of such a file and takes it for the whole:
    no later process can import the module (https://github.com/python/cpython/issues/126606).
    """
    sys.dont_write_bytecode = True
