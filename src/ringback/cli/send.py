"""`ringback send` and `ringback test-event`: send a callback of your own, or KORE's test event."""

import sys
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import IO, TYPE_CHECKING

import click

from ringback.cli.base_command import argument, command, option, option_group
from ringback.cli.callback_output import attempt_lines, is_accepted, warning_lines
from ringback.cli.options import json_option, method_option, prints_answer
from ringback.cli.output import Output, say
from ringback.cli.portal_commands import with_portal
from ringback.cli.time_arguments import ahead, time_option

if TYPE_CHECKING:
    from ringback.portal_client import JsonObject, PortalClient


def _read_parameters(
    _ctx: click.Context, _param: click.Parameter, given: tuple[str, ...]
) -> dict[str, list[str]]:
    parameters = dict[str, list[str]]()
    for text in given:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise click.BadParameter(f"{text!r} is not a parameter; write NAME=VALUE")
        parameters.setdefault(name, []).append(value)
    return parameters


@command(
    examples={
        "ringback send 'http://127.0.0.1:9000/hook' -p Order=7 -p Status=paid": (
            "Send a callback with two parameters:"
        ),
        "ringback send 'http://127.0.0.1:9000/hook#cbs=kore' -p Order=7": (
            "Send a callback from the source kore:"
        ),
        "ringback send 'http://127.0.0.1:9000/hook' -p Order=7 --deliver-at 2h": (
            "Send a callback in two hours:"
        ),
        "ringback send http://127.0.0.1:9000/hook -p a=1 --ordering-key 'order 7'": (
            "Send a callback after all earlier ones with this key:"
        ),
    }
)
@argument(
    "url",
    required=False,
    help="URL to send the callback to. #cbs=kore at its end asks for the source kore.",
)
@option_group(
    "What to send",
    option(
        "-p",
        "--parameter",
        "parameters",
        multiple=True,
        metavar="NAME=VALUE",
        callback=_read_parameters,
        help="A parameter of the callback, for example Order=7. You can give several, also with the"
        " same name.",
    ),
    option(
        "--file",
        type=click.File("rb"),
        metavar="FILE",
        help='JSON file with one callback, or with several as {"callbacks": [...]}, given instead'
        " of a URL and options; - reads standard input.",
    ),
)
@option_group(
    "How to send it",
    method_option("HTTP method to send the callback with."),
    option(
        "--key",
        metavar="TEXT",
        help="Key that you choose for the callback. If a callback with this key exists, no"
        " second one"
        " is sent.",
    ),
    option(
        "--ordering-key",
        metavar="TEXT",
        help="Key by which callbacks are sent in order: those to one destination with the same key"
        " one after the other.",
    ),
    time_option(
        "--deliver-at",
        "When to send the callback: 2h (in two hours), or 2026-11-24T10:00Z. Default: at once.",
    ),
)
@prints_answer
@with_portal
def send(
    *,
    url: str | None,
    portal: "PortalClient",
    parameters: dict[str, list[str]],
    method: str,
    key: str | None,
    ordering_key: str | None,
    deliver_at: str | None,
    file: IO[bytes] | None,
) -> Output:
    """Send a callback with your own parameters to a URL.

    Prints the callback's SID, the source that sends it (such as twilio or kore), and why this
    source was selected. The command does not wait for the receiver: the server stores the callback,
    and then sends it.
    """
    if (url is None) is (file is None):
        raise click.UsageError("give either a URL or --file")
    if file is None:
        due = ahead(deliver_at, portal)
        asked = {"url": url, "method": method, "parameters": parameters}
        keys = {"idempotency_key": key, "ordering_key": ordering_key}
        body = asked | keys | {"deliver_at": due}
    elif parameters or key or ordering_key or deliver_at:
        raise click.UsageError("--file has the whole callback: leave out the other options")
    else:
        body = file.read()
    answer = portal.send_json("POST", "callbacks", body=body)
    # For a file with several callbacks, the API answers with a list.
    return answer, _lines(answer.get("callbacks", [answer]))


def _lines(callbacks: "Iterable[JsonObject]") -> Iterator[str]:
    for callback in callbacks:
        yield f"{callback['sid']}  {callback['source']}: {callback['source_reason']}"
        yield from warning_lines(callback)


@command(
    "test-event",
    examples={
        "ringback test-event 'http://127.0.0.1:9000/hook'": (
            "Send KORE's test event to `ringback listen`:"
        ),
        "ringback test-event 'http://127.0.0.1:9000/hook' --json": (
            "Send KORE's test event, and print the request and the response as JSON:"
        ),
    },
)
@argument("url", help="URL to send KORE's test event to, for example https://a.example/hooks.")
@method_option("HTTP method of the request. With GET, the request has no body, and so no event.")
@json_option
@with_portal
def test_event(*, url: str, portal: "PortalClient", method: str, as_json: bool) -> None:
    """Send KORE's test event to a URL.

    The test event checks a receiver without a real event. The command waits for the receiver's
    answer, and prints the request and the response of each attempt. The exit code is 1 if the
    receiver did not accept the event.
    """
    portal.refuse_if_paused()
    callback = portal.post("test_events", form={"Url": url, "Method": method})
    (attempts,) = portal.attempts_when_ended([callback["sid"]])
    record = {**portal.get("callbacks", callback["sid"]), "attempts": attempts}
    say(record, chain.from_iterable(map(attempt_lines, attempts)), as_json=as_json)
    if not is_accepted(attempts):
        sys.exit(1)
