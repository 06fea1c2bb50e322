"""Options of the whole suite, and the servers that are started once, for whoever asks first."""

import os
import signal

import pytest

from tests.databases import postgres_dsn, redis_socket

__all__ = ["postgres_dsn", "redis_socket"]

# Several servers may be tested at once, and only one can have the gateway's usual port.
os.environ.setdefault("RINGBACK_GATEWAY", "none")

# Where a script runs the suite in the background, its shell has Ctrl-C ignored; what the tests
# start, and stop by it, would ignore it too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="rewrite tests/golden/captures, to be read as a diff",
    )


def pytest_xdist_auto_num_workers() -> int:
    """Return one for each core, and one for while others wait; up to four, see tests/ports.py."""
    return min(1 + (os.cpu_count() or 1), 4)
