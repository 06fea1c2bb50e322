"""`ringback scenario`: how the simulated network behaves, and why like that."""

import json

import click

from ringback.cli.portal import Portal, with_portal


@click.command()
@click.argument("name", required=False)
@with_portal
@click.option("--sim", metavar="SIM", help="For this SIM alone: a SID or a unique name.")
@click.option("--reset", is_flag=True, help="Take the choice back.")
@click.option("--json", "as_json", is_flag=True, help="Print the API's answer as it is.")
def scenario(
    *, name: str | None, portal: Portal, sim: str | None, reset: bool, as_json: bool
) -> None:
    """Have the network behave like the scenario NAME, towards the account or one SIM.

    Without NAME, show which one is in force, and all there are.
    """
    if name is not None and reset:
        raise click.UsageError("give a NAME, or --reset")
    if name is None and not reset:
        answer = portal.get("scenarios", query={"Sim": sim})
    else:
        answer = portal.post("scenarios", form={"Scenario": name or "", "Sim": sim})
    if as_json:
        click.echo(json.dumps(answer))
        return
    whose = answer["sim_sid"] or "account"
    click.echo(f"{whose}  {answer['scenario']}: {answer['meaning']}  ({answer['reason']})")
    for known in answer.get("scenarios", ()):
        click.echo(f"  {known['name']:16} {known['meaning']}")
