"""Options of the whole suite."""

import os

import pytest

# Several servers may be tested at once, and only one can have the gateway's usual port.
os.environ.setdefault("RINGBACK_GATEWAY", "none")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="rewrite tests/golden/captures, to be read as a diff",
    )
