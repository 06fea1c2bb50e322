"""The exact bytes of every callback, as captures to compare with.

`pytest tests/golden --update-golden` writes them anew; then read the diff.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Final

import pytest

from ringback.core.account import Account
from ringback.core.callback import Method
from ringback.core.events import SimUpdated
from ringback.core.rendering import render
from ringback.core.sim import SimStatus
from ringback.core.source import Source
from tests.fakes import NOW, a_callback, an_account, an_event

CAPTURES: Final = Path(__file__).parent / "captures"


@dataclass(frozen=True, slots=True)
class Told:
    """What is told, to which URL, for which account; each by default as in the notice."""

    event: SimUpdated = an_event()
    url: str = "http://your-callback-url.com/path?foo=bar#cbs=kore"
    account: Account = an_account()


CASES: Final[Mapping[str, Told]] = {
    "inactive": Told(an_event(sim_status=SimStatus.INACTIVE)),
    "active": Told(an_event(sim_status=SimStatus.ACTIVE)),
    "failed": Told(
        an_event(
            sim_status=SimStatus.ACTIVE,
            error_code=83004,
            error_message="The SIM couldn't be updated; 50% done & stopped",
        )
    ),
    "no-unique-name": Told(an_event(sim_unique_name=None)),
    "no-path": Told(url="https://your-callback-url.com"),
    "credentials": Told(url="https://user:p%40ss@your-callback-url.com:8443/path?foo=bar"),
    "static-proxy": Told(account=an_account(uses_static_proxy=True)),
    "no-secret": Told(account=an_account(kore_secret="")),
}
ALL: Final = {
    f"{source}-{method.lower()}-{case}": (source, method, told)
    for (case, told), source, method in product(CASES.items(), Source, Method)
}


@pytest.mark.parametrize("name", ALL)
def test_a_callback_goes_out_as_captured(name: str, pytestconfig: pytest.Config) -> None:
    source, method, told = ALL[name]
    callback = a_callback(url=told.url, method=method, source=source, event=told.event)
    sent = render(callback, account=told.account, at=NOW).to_bytes()
    capture = CAPTURES / f"{name}.http"
    if pytestconfig.getoption("--update-golden"):
        capture.write_bytes(sent)
    assert sent == capture.read_bytes()


def test_there_is_no_capture_of_anything_else(pytestconfig: pytest.Config) -> None:
    captured = {f"{name}.http" for name in ALL}
    strays = [path for path in CAPTURES.iterdir() if path.name not in captured]
    if pytestconfig.getoption("--update-golden"):
        while strays:
            strays.pop().unlink()
    assert strays == []
