"""`ringback listen`: a receiver that prints each callback, and whether its signature is right."""

from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from ringback.cli.base_command import command, option, option_group
from ringback.cli.options import data_option, json_lines_option, read_by, read_url
from ringback.core.calendar import read_duration
from ringback.dev_receiver.usual_address import LISTEN_PORT

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
        "ringback listen": "Receive callbacks of `ringback dev`, and check their signatures:",
        "ringback listen --events": (
            "Show each callback's event as the Python object that an application gets:"
        ),
        "ringback listen --fail-first 2": (
            "Answer the first two requests with an error, to see how they are retried:"
        ),
        "ringback listen --forward-to 'http://127.0.0.1:3000'": (
            "Forward every callback to your application:"
        ),
    }
)
@option_group(
    "Where to listen",
    option(
        "--port",
        type=click.IntRange(0, 65535),
        metavar="PORT",
        default=LISTEN_PORT,
        show_default=True,
        help="Port to receive callbacks on; 0 takes any free port.",
    ),
    option(
        "--host",
        metavar="ADDRESS",
        default="127.0.0.1",
        show_default=True,
        help="IP address or host name to receive callbacks on.",
    ),
    option(
        "--url",
        metavar="URL",
        callback=read_url,
        help="Public URL of this listener, if a tunnel or proxy is in front: the URL that"
        " callbacks are"
        " configured with. Default: the URL of each request, from its Host header.",
    ),
)
@option_group(
    "How to check signatures",
    data_option,
    option(
        "--auth-token",
        metavar="SECRET",
        help="Auth Token to check Twilio's signatures with. Default: the one of `ringback dev`.",
    ),
    option(
        "--kore-secret",
        metavar="SECRET",
        help="Webhook secret to check KORE's signatures with. Default: the one of `ringback dev`.",
    ),
)
@option_group(
    "How to answer",
    option(
        "--forward-to",
        metavar="URL",
        callback=read_url,
        help="Forward each request to your application at this URL, for example"
        " http://127.0.0.1:3000, and return the application's answer. If the URL has no path, the"
        " path of the request is used; the query of the request is always added.",
    ),
    option(
        "--fail",
        type=click.IntRange(300, 599),
        metavar="STATUS",
        help="Answer every request with this HTTP status, from 300 to 599, such as 500. With"
        " --fail-first, only the first ones.",
    ),
    option(
        "--fail-first",
        type=click.IntRange(min=1),
        metavar="N",
        help="Answer only the first N requests with an error: 503, or the status given with"
        " --fail.",
    ),
    option(
        "--delay",
        metavar="DURATION",
        default="0s",
        callback=read_by(_delay),
        help="Wait this long before each answer, for example 500ms or 3s; at most 1h."
        " Default: answer"
        " at once.",
    ),
)
@option_group(
    "Output",
    option(
        "--events",
        is_flag=True,
        help="Also show each callback's event as the Python object that ringback.receiver returns.",
    ),
    option(
        "-v", "--verbose", is_flag=True, help="Also show each request exactly as it was received."
    ),
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
    the callback was received before. Runs until Ctrl-C. You can start `ringback dev` before or
    after this command.
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
