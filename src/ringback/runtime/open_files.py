"""The limit on this process's open files: raises it, and finds out if it was reached."""

import os
import re
import socket
import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

if sys.platform != "win32":
    import resource

_ENOUGH: Final = 65_536
"""A limit that is always high enough; some systems refuse higher ones."""
_ROOM: Final = 8
"""More files than a library opens at a time."""
_TABLE_SIZE: Final = re.compile(r"^FDSize:\s*([0-9]+)$", re.MULTILINE)


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


def require_room() -> None:
    """Raise OSError if this process can't open a few more files and a socket now.

    Libraries that can't open a file report something else: that a name or an authority is unknown.
    """
    with ExitStack() as opened:
        for _ in range(_ROOM):
            opened.callback(os.close, os.open(os.devnull, os.O_RDONLY))
        opened.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))


def may_have_run_out() -> bool:
    """Return False if this process surely never reached its limit on open files.

    Linux gives each file the lowest free number, and never shrinks the table of these numbers.
    """
    try:
        size = _TABLE_SIZE.search(Path("/proc/self/status").read_text())
    except OSError:
        return True
    return size is None or int(size[1]) >= open_files_limit()
