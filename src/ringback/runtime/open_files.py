"""Raises this process's limit on open files as far as the system allows."""

import sys
from contextlib import suppress
from typing import Final

if sys.platform != "win32":
    import resource

_ENOUGH: Final = 65_536
"""A limit that is always high enough; some systems refuse higher ones."""


def raise_limit(needed: int) -> int:
    """Raise the soft limit on open files to at least `needed`, if allowed; return the new limit."""
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
    """Return the number of files that this process may have open at the same time."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _ENOUGH if soft == resource.RLIM_INFINITY else soft
