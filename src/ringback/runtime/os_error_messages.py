"""Explains errors of the operating system and its libraries in plain words."""

import errno
import os
import socket
import ssl
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from ringback.core.errors import ConfigurationError
from ringback.core.http.outcome import AttemptFailure

# The machine has no descriptors, buffers, memory, or room for sockets to watch (ENOSPC) left.
_SCARCE: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.ENOSPC})
# All local ports for one destination address are taken; others may have some.
_NO_PORT: Final = frozenset({errno.EADDRNOTAVAIL, errno.EADDRINUSE})


def error_text(error: OSError) -> str:
    """Return the reason of an error in words, without class name, error number or source file.

    >>> error_text(ConnectionRefusedError(111, "[Errno 111] Connect call failed"))
    'Connection refused'
    """
    match error:
        case ssl.SSLCertVerificationError():
            return error.verify_message
        case ssl.SSLError():
            return (error.reason or "TLS error").replace("_", " ").lower()
        case socket.gaierror():
            return error.strerror or "name error"
        case _:
            # asyncio puts its own words in `strerror`; the number is the system's.
            return os.strerror(error.errno) if error.errno else str(error) or "no answer"


@contextmanager
def refusing(text: str, advice: str = "") -> Generator[None]:
    """Turn an OSError in the block into ConfigurationError.

    The error's message is `text`, the reason of the OSError, and `advice`.
    """
    try:
        yield
    except OSError as failure:
        what_to_do = f"; {advice}" if advice else ""
        raise ConfigurationError(f"{text}: {failure.strerror}{what_to_do}") from failure


def refuse_windows(what: str) -> None:
    """Raise ConfigurationError on Windows, which lacks the file locks and signals of a server."""
    if sys.platform == "win32":
        raise ConfigurationError(f"{what} does not work on Windows; use WSL 2 or a Linux container")


def shortage_of(error: OSError) -> AttemptFailure | None:
    """Return the kind of shortage on this machine that caused an error, or None for other errors.

    >>> shortage_of(OSError(errno.EMFILE, "Too many open files"))
    <AttemptFailure.SHORTAGE: ('shortage', 11205, None)>
    """
    if isinstance(error, socket.gaierror):
        # The error numbers of name look-ups are different ones.
        return AttemptFailure.SHORTAGE if error.errno == socket.EAI_MEMORY else None
    if isinstance(error, ssl.SSLError):
        # The numbers are OpenSSL's; one of them is equal to ENOMEM.
        return AttemptFailure.SHORTAGE if error.reason == "MALLOC_FAILURE" else None
    if error.errno in _SCARCE:
        return AttemptFailure.SHORTAGE
    return AttemptFailure.NO_LOCAL_PORT if error.errno in _NO_PORT else None
