"""`ringback scenario`: show or choose how the simulated network behaves."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from ringback.cli.base_command import argument, command, option, option_group
from ringback.cli.options import prints_answer
from ringback.cli.output import Output
from ringback.cli.portal_commands import with_portal

if TYPE_CHECKING:
    from ringback.portal_client import JsonObject, PortalClient


@command(
    examples={
        "ringback scenario": (
            "Show the current scenario of the account, and all that you can choose:"
        ),
        "ringback scenario sms-fails": "Make every SMS of the account fail:",
        'ringback scenario slow --sim "$SIM_SID"': (
            "Slow down everything that the simulated network does for one SIM:"
        ),
        "ringback scenario --reset": "Go back to the default scenario for the account:",
    }
)
@argument(
    "name",
    required=False,
    help="Name of the scenario to set, such as sms-fails. Without a name, all scenarios are shown.",
)
@option_group(
    "What to set",
    option(
        "--sim",
        metavar="SIM",
        help="SID or unique name of the SIM that the scenario is for. Default: all SIMs of the"
        " account.",
    ),
    option(
        "--reset",
        is_flag=True,
        help="Remove the scenario that was set for the account, or for the SIM of --sim.",
    ),
)
@prints_answer
@with_portal
def scenario(*, name: str | None, portal: "PortalClient", sim: str | None, reset: bool) -> Output:
    """Choose whether the simulated network works, fails or is slow.

    A scenario makes some events fail or take long, so that you can test how your application
    reacts. It applies to all SIMs of the account, or to one SIM.
    """
    if name is not None and reset:
        raise click.UsageError("give either a NAME or --reset")
    if name is None and not reset:
        answer = portal.get("scenarios", query={"Sim": sim})
    else:
        answer = portal.post("scenarios", form={"Scenario": name or "", "Sim": sim})
    return answer, _lines(answer)


def _lines(answer: "JsonObject") -> Iterator[str]:
    whose = answer["sim_sid"] or "account"
    yield f"{whose}  {answer['scenario']}: {answer['meaning']}  ({answer['reason']})"
    for known in answer.get("scenarios", ()):
        yield f"  {known['name']:16} {known['meaning']}"
