"""`ringback callbacks`: what was sent, from which source and why, and what became of it."""

import json

import click

from ringback.cli.callback_lines import attempt_lines, details, row
from ringback.cli.portal import Portal, with_portal
from ringback.cli.replaying import discard, replay
from ringback.core.callback import CallbackStatus

_STATUSES = click.Choice([status.value for status in CallbackStatus])
_limit = click.option(
    "--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="So many at most."
)
_source = click.option("--source", metavar="SOURCE", help="Only those of this source.")
_json = click.option("--json", "as_json", is_flag=True, help="Print the API's answer as it is.")


@click.group()
def callbacks() -> None:
    """See callbacks: their requests, answers, and why they came from their source."""


callbacks.add_command(replay)
callbacks.add_command(discard)


@callbacks.command("list")
@with_portal
@click.option("--status", type=_STATUSES, help="Only those that are so.")
@_source
@_limit
@_json
def list_callbacks(
    *, portal: Portal, status: str | None, source: str | None, limit: int, as_json: bool
) -> None:
    """List callbacks, newest first."""
    query = {"Status": status, "Source": source}
    page = portal.newest("callbacks", query=query, limit=limit)
    if as_json:
        click.echo(json.dumps(page))
    elif not page["callbacks"]:
        click.echo("no callbacks; update a SIM with a CallbackUrl, and there will be one")
    else:
        for callback in page["callbacks"]:
            click.echo(row(callback))


@callbacks.command("undelivered")
@with_portal
@_source
@_limit
@_json
def list_undelivered(*, portal: Portal, source: str | None, limit: int, as_json: bool) -> None:
    """List the callbacks that ended without a delivery, newest first, and say why."""
    page = portal.newest("undelivered", query={"Source": source}, limit=limit)
    if as_json:
        click.echo(json.dumps(page))
    elif not page["callbacks"]:
        click.echo("nothing is undelivered")
    else:
        for callback in page["callbacks"]:
            click.echo(f"{row(callback)}\n  {callback['status_reason']}")


@callbacks.command("show")
@click.argument("sid")
@with_portal
@_json
def show_callback(*, sid: str, portal: Portal, as_json: bool) -> None:
    """Show one callback: why this source, and each request and answer as it was."""
    callback = portal.get("callbacks", sid)
    attempts = portal.get("callbacks", sid, "attempts")["attempts"]
    if as_json:
        click.echo(json.dumps({**callback, "attempts": attempts}))
        return
    for line in details(callback):
        click.echo(line)
    for attempt in attempts:
        click.echo()
        for line in attempt_lines(attempt):
            click.echo(line)
