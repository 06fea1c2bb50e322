"""Options of the whole suite, and servers that are started once, when a test first needs them."""

import gc
import os
import signal
from collections.abc import Generator

import pytest
from _pytest.doctest import DoctestModule

from tests.databases import postgres_dsn, redis_socket

__all__ = ["postgres_dsn", "redis_socket"]

# Nothing becomes garbage while tests are collected.
gc.disable()

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
    """Return the number of workers: two for each core, since many tests wait; at most 4.

    See tests/ports.py.
    """
    return min(2 * (os.cpu_count() or 1), 4)


@pytest.hookimpl(wrapper=True)
def pytest_collect_file() -> Generator[None, list[pytest.Collector], list[pytest.Collector]]:
    """Look for examples in docstrings of the product only: tests have none."""
    return [one for one in (yield) if not isinstance(one, DoctestModule)]


def pytest_collection_finish() -> None:
    """Enable garbage collections, but few; they pass over all tests, which stay until the end."""
    gc.freeze()
    gc.set_threshold(20_000)
    gc.enable()
