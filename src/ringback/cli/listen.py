"""`ringback listen`: a receiver that prints each callback, and whether its signature is right."""

from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from ringback.cli.base_command import command, option, option_group
from ringback.cli.options import data_option, json_lines_option, read_by, read_url
from ringback.core.calendar import read_duration

if TYPE_CHECKING:
    from ringback.core.callback_urls.callback_url import CallbackUrl

_LONGEST_DELAY: Final = timedelta(hours=1)


def _delay(text: str) -> timedelta:
    delay = read_duration(text)
    if delay > _LONGEST_DELAY:
        raise ValueError(f"{text!r} is too long; at most 1h")
    return delay


@command(
    examples={
        "ringback listen": "Receive the callbacks of `ringback dev`:",
        "ringback listen --events": "Show each event as a Python application gets it:",
        "ringback listen --fail-first 2": "See how a source retries:",
        "ringback listen --forward-to 'http://127.0.0.1:3000'": "Pass all on to your application:",
    }
)
@option_group(
    "Where to listen",
    option(
        "--port",
        type=click.IntRange(0, 65535),
        metavar="PORT",
        default=9000,
        show_default=True,
        help="Port to listen on; 0 takes any free port.",
    ),
    option(
        "--host",
        metavar="ADDRESS",
        default="127.0.0.1",
        show_default=True,
        help="Address to listen on.",
    ),
    option(
        "--url",
        metavar="URL",
        callback=read_url,
        help="URL that callbacks are configured with, if a tunnel or a proxy is in front.",
    ),
)
@option_group(
    "How to check signatures",
    data_option,
    option(
        "--auth-token",
        metavar="SECRET",
        help="Auth Token that signs Twilio's callbacks. Default: the one of `ringback dev`.",
    ),
    option(
        "--kore-secret",
        metavar="SECRET",
        help="Webhook secret that signs KORE's callbacks. Default: the one of `ringback dev`.",
    ),
)
@option_group(
    "How to answer",
    option(
        "--forward-to",
        metavar="URL",
        callback=read_url,
        help="Pass each request to this URL, and return its answer. If the URL has no path, the"
        " path of the request is used; the query of the request is always added.",
    ),
    option(
        "--fail",
        type=click.IntRange(300, 599),
        metavar="STATUS",
        help="Answer every request with this HTTP status.",
    ),
    option(
        "--fail-first",
        type=click.IntRange(min=1),
        metavar="N",
        help="Let only the first N requests fail, with 503 or the status of --fail.",
    ),
    option(
        "--delay",
        metavar="DURATION",
        default="0s",
        callback=read_by(_delay),
        help="Wait this long before each answer, such as 500ms or 3s.",
    ),
)
@option_group(
    "Output",
    option(
        "--events",
        is_flag=True,
        help="Show the event of each callback too, as ringback.receiver parses it.",
    ),
    option("-v", "--verbose", is_flag=True, help="Show each request exactly as received, too."),
    json_lines_option,
)
def listen(
    *,
    port: int,
    host: str,
    data: Path,
    auth_token: str | None,
    kore_secret: str | None,
    url: "CallbackUrl | None",
    forward_to: "CallbackUrl | None",
    fail: int | None,
    fail_first: int | None,
    delay: timedelta,
    events: bool,
    as_json: bool,
    verbose: bool,
) -> None:
    """Receive callbacks and check their signatures.

    Prints each request with its source, its parameters, whether the signature is right, and whether
    the callback came before. Ctrl-C ends it. `ringback dev` may also start later.
    """
    from ringback.cli.listen_session import run, show_request
    from ringback.dev_receiver.handler import ListenOptions
    from ringback.dev_receiver.responses import UNAVAILABLE, FailureMode
    from ringback.receiver.verification import ReceiverSecrets

    is_failing = fail is not None or fail_first is not None
    options = ListenOptions(
        secrets=ReceiverSecrets(
            (auth_token,) if auth_token else (), (kore_secret,) if kore_secret else ()
        ),
        configured=url,
        forward_to=forward_to,
        failure_mode=FailureMode(fail or UNAVAILABLE, fail_first) if is_failing else None,
        delay=delay,
    )
    show = partial(show_request, verbose=verbose, with_event=events, as_json=as_json)
    run(options, host=host, port=port, data=data, show=show, as_json=as_json)
