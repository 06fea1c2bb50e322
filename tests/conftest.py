"""Options of the whole suite, and servers that are started once, when a test first needs them."""

import os
import signal

import pytest

from tests.databases import postgres_dsn, redis_socket

__all__ = ["postgres_dsn", "redis_socket"]

# Several servers may be tested at once, and only one can have the gateway's default port.
os.environ.setdefault("RINGBACK_GATEWAY", "none")

# If a script runs the suite in the background, its shell makes it ignore Ctrl-C; the processes that
# tests start, and stop with Ctrl-C, would ignore it too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="rewrite tests/golden/captures, to be read as a diff",
    )


def pytest_xdist_auto_num_workers() -> int:
    """Return the number of workers: two more than cores, at most 4 (see tests/ports.py).

    Many tests wait for a server, or for a lease to end.
    """
    return min(2 + (os.cpu_count() or 1), 4)
