"""`ringback callbacks`: what was sent, from which source and why, and what became of it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import click

from ringback.cli.dev_file import DevFile
from ringback.cli.options import data_option
from ringback.cli.portal import Portal
from ringback.core.callback import CallbackStatus
from ringback.core.source import Source

_COLORS: Final = {"delivered": "green", "failed": "red", "scheduled": "yellow"}


@click.group()
def callbacks() -> None:
    """See callbacks: their requests, answers, and why they came from their source."""


@callbacks.command("list")
@data_option
@click.option("--status", type=click.Choice([status.value for status in CallbackStatus]))
@click.option("--source", type=click.Choice([source.value for source in Source]))
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the API's answer as it is.")
def list_callbacks(
    *, data: Path, status: str | None, source: str | None, limit: int, as_json: bool
) -> None:
    """List callbacks, newest first."""
    query = {"Status": status, "Source": source, "PageSize": str(limit)}
    page = Portal.of(DevFile.read(data)).get("callbacks", query=query)
    if as_json:
        click.echo(json.dumps(page))
    elif not page["callbacks"]:
        click.echo("no callbacks; update a SIM with a CallbackUrl, and there will be one")
    else:
        for callback in page["callbacks"]:
            click.echo(_row(callback))


@callbacks.command("show")
@click.argument("sid")
@data_option
@click.option("--json", "as_json", is_flag=True, help="Print the API's answers as they are.")
def show_callback(*, sid: str, data: Path, as_json: bool) -> None:
    """Show one callback: why this source, and each request and answer as it was."""
    portal = Portal.of(DevFile.read(data))
    callback = portal.get("callbacks", sid)
    attempts = portal.get("callbacks", sid, "attempts")["attempts"]
    if as_json:
        click.echo(json.dumps({**callback, "attempts": attempts}))
        return
    for line in _details(callback):
        click.echo(line)
    for attempt in attempts:
        click.echo()
        for line in _attempt_lines(attempt):
            click.echo(line)


def _row(callback: dict[str, Any]) -> str:
    status = click.style(f"{callback['status']:<9}", fg=_COLORS.get(callback["status"]))
    return (
        f"{callback['sid']}  {callback['date_created']}  {callback['source']:<6}  {status}"
        f"  {callback['attempt_count']} sent  {callback['method']:<4}  {callback['url']}"
    )


def _details(callback: dict[str, Any]) -> Iterator[str]:
    yield click.style(f"{callback['sid']}  {callback['status']}", bold=True)
    if callback["status_reason"]:
        yield f"  why         {callback['status_reason']}"
    yield f"  source      {callback['source']}: {callback['source_reason']}"
    yield f"  asked for   {callback['source_asked'] or 'nothing: the URL has no #cbs='}"
    yield f"  url         {callback['method']} {callback['url']}"
    yield f"  token       {callback['idempotency_token']}"
    yield f"  created     {callback['date_created']}"
    for name, value in callback["parameters"].items():
        yield f"  parameter   {name}={value}"
    for warning in callback["warnings"]:
        yield click.style(f"  warning     {warning}", fg="yellow")


def _attempt_lines(attempt: dict[str, Any]) -> Iterator[str]:
    took = "" if attempt["duration_ms"] is None else f", after {attempt['duration_ms']:.1f} ms"
    code = f" [{attempt['error_code']}]" if attempt["error_code"] else ""
    yield click.style(f"attempt {attempt['number']}  {attempt['date_started']}", bold=True)
    yield f"  {attempt['result']}{code}: {attempt['reason'] or 'under way'}{took}"
    if attempt["request"]:
        yield from _request_lines(attempt["request"])
    if attempt["response"]:
        yield from _response_lines(attempt["response"])


def _request_lines(request: dict[str, Any]) -> Iterator[str]:
    yield f"  > {request['method']} {request['url']}"
    yield from (f"  > {name}: {value}" for name, value in request["headers"])
    if request["body"]:
        yield f"  > {request['body']}"


def _response_lines(response: dict[str, Any]) -> Iterator[str]:
    yield f"  < {response['status']}"
    yield from (f"  < {name}: {value}" for name, value in response["headers"])
    yield from (f"  < {line}" for line in response["body"].splitlines()[:20])
