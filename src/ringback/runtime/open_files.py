"""The limit on open files of this process, raised as far as it may be."""

import sys
from contextlib import suppress
from typing import Final

if sys.platform != "win32":
    import resource

_ENOUGH: Final = 65_536
"""Above this nothing is gained, and some systems' own bounds lie lower than what they allow."""


def raise_limit(needed: int) -> int:
    """Raise the soft limit on open files towards the hard one, and return what it is then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = max(needed, _ENOUGH)
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        # Some systems allow less than their hard limit says.
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return open_files_limit()


def open_files_limit() -> int:
    """Return how many files this process may have open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _ENOUGH if soft == resource.RLIM_INFINITY else soft
