"""Ports for what is to listen a little later, often in another process."""

import os
import random
import socket
from collections.abc import Iterator
from typing import Final

# Below those that a system gives to connections (from 32,768 on, or higher), since one of them
# could come in between; and of its own for each of the suite's processes, of which there are four.
_WORKER: Final = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_RANGE: Final = range(15_000 + _WORKER, 30_000, 4)


def free_port() -> int:
    """Return a port of 127.0.0.1, for TCP and UDP, that nobody has or will be given."""
    return next(_FREE)


def is_free(port: int) -> bool:
    """Return whether nobody has a port."""
    try:
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            with socket.socket(type=kind) as attempt:
                attempt.bind(("127.0.0.1", port))
    except OSError:
        return False
    return True


def _free() -> Iterator[int]:
    while True:
        yield from filter(is_free, random.sample(_RANGE, len(_RANGE)))


_FREE: Final = _free()
