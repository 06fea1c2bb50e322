"""Options of the whole suite, and servers that are started once, when a test first needs them."""

import gc
import os
import signal
from collections.abc import Generator

import pytest
from _pytest.doctest import DoctestModule
from hypothesis import settings

from tests.databases import postgres_dsn, redis_socket

__all__ = ["postgres_dsn", "redis_socket"]

# Nothing becomes garbage while tests are collected.
gc.disable()

# On a busy machine an example may take long.
settings.register_profile("patient", settings.default, deadline=None)
settings.load_profile("patient")

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


@pytest.hookimpl(trylast=True)  # after the tests have been shuffled
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let each worker begin with modules that take long, so that none is the last one at work.

    These are the modules in which a test has a timeout of its own. The workers get equal parts of
    the list, in order.
    """
    workers = getattr(config, "workerinput", {}).get("workercount", 1)
    long = dict.fromkeys(item.path for item in items if item.get_closest_marker("timeout"))
    others = [item for item in items if item.path not in long]
    ordered = list[pytest.Item]()
    for number in range(workers):
        size = (len(items) - len(ordered)) // (workers - number)
        paths = {*list(long)[number::workers]}
        part = [item for item in items if item.path in paths]
        room = max(size - len(part), 0)
        ordered += part + others[:room]
        del others[:room]
    items[:] = ordered + others


def pytest_collection_finish() -> None:
    """Enable garbage collections, which pass over all tests: these stay until the end."""
    gc.freeze()
    gc.enable()
