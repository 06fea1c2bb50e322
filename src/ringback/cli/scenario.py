"""`ringback scenario`: how the simulated network behaves, and why like that."""

from collections.abc import Iterator

import click

from ringback.cli.base_command import argument, command, option
from ringback.cli.options import prints_answer
from ringback.cli.output import Output
from ringback.cli.portal_commands import with_portal
from ringback.portal_client import JsonObject, PortalClient


@command()
@argument("name", required=False)
@with_portal
@option("--sim", metavar="SIM", help="For this SIM alone: a SID or a unique name.")
@option("--reset", is_flag=True, help="Take the choice back.")
@prints_answer
def scenario(*, name: str | None, portal: PortalClient, sim: str | None, reset: bool) -> Output:
    """Have the network behave like the scenario NAME, towards the account or one SIM.

    Without NAME, show which one is in force, and all there are.
    """
    if name is not None and reset:
        raise click.UsageError("give a NAME, or --reset")
    if name is None and not reset:
        answer = portal.get("scenarios", query={"Sim": sim})
    else:
        answer = portal.post("scenarios", form={"Scenario": name or "", "Sim": sim})
    return answer, _lines(answer)


def _lines(answer: JsonObject) -> Iterator[str]:
    whose = answer["sim_sid"] or "account"
    yield f"{whose}  {answer['scenario']}: {answer['meaning']}  ({answer['reason']})"
    for known in answer.get("scenarios", ()):
        yield f"  {known['name']:16} {known['meaning']}"
