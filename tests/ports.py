"""Free ports for servers that start a little later, often in another process."""

import os
import random
import socket
from collections.abc import Iterator
from typing import Final

# Below the ports that a system gives to outgoing connections (from 32,768 on, or higher), because a
# connection could take one in the meantime; and in a range for each of the suite's processes, of
# which there are at most four.
_WORKER: Final = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_RANGE: Final = range(15_000 + _WORKER, 30_000, 4)


def free_port() -> int:
    """Return a port of 127.0.0.1, for TCP and UDP, that is free and that no system hands out."""
    return next(_FREE)


def is_free(port: int) -> bool:
    """Return True if a port is free."""
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
