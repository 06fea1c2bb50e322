"""The console and the command line know every state that the API gives a destination."""

from importlib.resources import files

from ringback.api.portal.destination_json import DestinationStatus
from ringback.cli.destinations import _STATES  # pyright: ignore[reportPrivateUsage] (what its option offers)
from ringback.console.pages.destinations import STATES


def test_no_state_of_a_destination_is_unknown() -> None:
    known = {state.value for state in DestinationStatus}
    assert {*STATES} == known
    assert {*_STATES} == known
    macros = (files("ringback.console") / "templates" / "_macros.html").read_text("utf-8")
    assert [state for state in known if f'"{state}": ' not in macros] == []
