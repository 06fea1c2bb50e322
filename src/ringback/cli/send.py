"""`ringback send` and `test-event`: an event of one's own, or KORE's test event, from the shell."""

import sys
from collections.abc import Iterable, Iterator
from typing import IO

import click

from ringback.cli.base_command import argument, command, option
from ringback.cli.callback_output import attempt_lines, is_accepted, warning_lines
from ringback.cli.options import method_option, prints_answer
from ringback.cli.output import Output
from ringback.cli.portal_commands import with_portal
from ringback.cli.time_arguments import ahead
from ringback.portal_client import JsonObject, PortalClient


def _read_parameters(
    _ctx: click.Context, _param: click.Parameter, given: tuple[str, ...]
) -> dict[str, list[str]]:
    parameters = dict[str, list[str]]()
    for text in given:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise click.BadParameter(f"{text!r} has no name and value; write Name=Value")
        parameters.setdefault(name, []).append(value)
    return parameters


@command()
@argument("url", required=False)
@with_portal
@option(
    "-p",
    "--parameter",
    "parameters",
    multiple=True,
    metavar="NAME=VALUE",
    callback=_read_parameters,
    help="What to tell; as many as there are, and a name more than once where it repeats.",
)
@method_option("How to send it.")
@option("--key", metavar="TEXT", help="Send nothing where this key was used before.")
@option("--deliver-at", metavar="WHEN", help="Not before: 2h, or 2026-11-24T10:00Z.")
@option(
    "--file", type=click.File("rb"), help="Send what this JSON file holds instead; - is the input."
)
@prints_answer
def send(
    *,
    url: str | None,
    portal: PortalClient,
    parameters: dict[str, list[str]],
    method: str,
    key: str | None,
    deliver_at: str | None,
    file: IO[bytes] | None,
) -> Output:
    """Send a callback to URL; it is durable when this returns.

    Prints its SID, the source that sends it, and why that one.
    """
    if (url is None) is (file is None):
        raise click.UsageError("give either a URL, or --file")
    if file is None:
        due = ahead(deliver_at, portal)
        asked = {"url": url, "method": method, "parameters": parameters}
        body = asked | {"idempotency_key": key, "deliver_at": due}
    elif parameters or key or deliver_at:
        raise click.UsageError("with --file, what to send stands in the file alone")
    else:
        body = file.read()
    answer = portal.send_json("POST", "callbacks", body=body)
    # A file may hold several callbacks, which the API answers with a list.
    return answer, _lines(answer.get("callbacks", [answer]))


def _lines(callbacks: Iterable[JsonObject]) -> Iterator[str]:
    for callback in callbacks:
        yield f"{callback['sid']}  {callback['source']}: {callback['source_reason']}"
        yield from warning_lines(callback)


@command("test-event")
@argument("url")
@with_portal
@method_option("How to send it; a GET has no body, and so no event in it.")
def test_event(*, url: str, portal: PortalClient, method: str) -> None:
    """Send KORE's test event to URL, and show what was sent and how it was answered.

    The exit code is 1 where it was not accepted.
    """
    callback = portal.post("test_events", form={"Url": url, "Method": method})
    (attempts,) = portal.attempts_when_ended([callback["sid"]])
    for attempt in attempts:
        for line in attempt_lines(attempt):
            click.echo(line)
    if not is_accepted(attempts):
        sys.exit(1)
