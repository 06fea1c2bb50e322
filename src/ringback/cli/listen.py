"""`ringback listen`: a receiver that shows what comes, and says whether it is genuine."""

import asyncio
import errno
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Final

import click

from ringback.cli.base_command import command, option
from ringback.cli.options import data_option, json_lines_option, read_by, read_url
from ringback.cli.output import say, styled
from ringback.cli.signals import event_of_signals, first_of
from ringback.core.calendar import read_duration
from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.errors import ConfigurationError, InvalidCallbackUrl
from ringback.core.http.allowed_addresses import ANYWHERE
from ringback.core.http.ssrf_guard import SsrfGuard
from ringback.core.policy.source_policy import Source
from ringback.dev_environment.dev_file import DevServerDetails
from ringback.dev_receiver import callback_report
from ringback.dev_receiver.handler import ListenOptions, ListenRequestHandler
from ringback.dev_receiver.received_callback import CheckedRequest
from ringback.dev_receiver.responses import UNAVAILABLE, FailureMode
from ringback.dev_receiver.seen_tokens import SeenTokens
from ringback.dev_receiver.sender_lookup import ListenAccount, secrets_of
from ringback.dev_receiver.server import ListenServer
from ringback.http_client.http_sender import HttpTransport
from ringback.receiver.verification import ReceiverSecrets
from ringback.runtime.system_clock import SystemClock, stopwatch

_LONGEST_DELAY: Final = timedelta(hours=1)


def _delay(text: str) -> timedelta:
    delay = read_duration(text)
    if delay > _LONGEST_DELAY:
        raise ValueError(f"{text!r} is too long; at most 1h")
    return delay


@command()
@option(
    "--port",
    type=click.IntRange(0, 65535),
    default=9000,
    show_default=True,
    help="Listen on this port; 0 takes any that is free.",
)
@option("--host", default="127.0.0.1", show_default=True, help="Listen on this address.")
@data_option
@option("--auth-token", metavar="SECRET", help="Check Twilio's signatures with this.")
@option("--kore-secret", metavar="SECRET", help="Check KORE's signatures with this.")
@option(
    "--url",
    metavar="URL",
    callback=read_url,
    help="The URL that callbacks are configured with, if a tunnel or a proxy is in front.",
)
@option(
    "--forward-to",
    metavar="URL",
    callback=read_url,
    help="Pass each request on, and answer what comes back. A URL without a path gets the"
    " request's own; the query always goes along.",
)
@option(
    "--fail",
    type=click.IntRange(300, 599),
    metavar="STATUS",
    help="Answer every request with this status.",
)
@option(
    "--fail-first",
    type=click.IntRange(min=1),
    metavar="N",
    help=f"Let only the first N requests fail, with {UNAVAILABLE} or what --fail says.",
)
@option(
    "--delay",
    metavar="DURATION",
    default="0s",
    callback=read_by(_delay),
    help="Answer only after so long, such as 500ms or 3s.",
)
@json_lines_option
@option("-v", "--verbose", is_flag=True, help="Show requests exactly as received, too.")
def listen(
    *,
    port: int,
    host: str,
    data: Path,
    auth_token: str | None,
    kore_secret: str | None,
    url: CallbackUrl | None,
    forward_to: CallbackUrl | None,
    fail: int | None,
    fail_first: int | None,
    delay: timedelta,
    as_json: bool,
    verbose: bool,
) -> None:
    """Receive callbacks, and say of each what it is and whether its signature is right.

    Secrets come from the dev.json of `ringback dev`, which may also start later.
    """
    options = ListenOptions(
        secrets=ReceiverSecrets(
            (auth_token,) if auth_token else (), (kore_secret,) if kore_secret else ()
        ),
        configured=url,
        forward_to=forward_to,
        failure_mode=_failure_mode(fail, fail_first),
        delay=delay,
    )
    # No guard: the address comes from the user's own command line, not from a customer.
    sender = HttpTransport(stopwatch=stopwatch, guard=SsrfGuard(ANYWHERE))
    handler = ListenRequestHandler(
        options,
        find_account=partial(_account_in, data),
        seen=SeenTokens(),
        clock=SystemClock(),
        transport=sender,
        show=partial(_show, verbose=verbose, as_json=as_json),
    )

    def announce(address: str) -> None:
        say({"listening": address}, f"listening on {address}", as_json=as_json)
        secrets = secrets_of(_account_in(data), given=options.secrets)
        click.echo(_what_is_checked(secrets, data), err=as_json)

    asyncio.run(_serve(handler, host, port, announce))


def _account_in(data: Path) -> ListenAccount | None:
    """Return the account of the `ringback dev` with this data folder, if that has run yet."""
    try:
        dev = DevServerDetails.read(data)
        return ListenAccount(
            CallbackUrl.parse(dev.base_url),
            dev.account_sid,
            auth_token=dev.auth_token,
            kore_secret=dev.kore_secret,
            api_key_secret=dev.api_key_secret,
        )
    except (ConfigurationError, InvalidCallbackUrl):
        return None


def _failure_mode(fail: int | None, fail_first: int | None) -> FailureMode | None:
    if fail is None and fail_first is None:
        return None
    return FailureMode(fail or UNAVAILABLE, fail_first)


def _what_is_checked(secrets: ReceiverSecrets, data: Path) -> str:
    match secrets.of(Source.TWILIO), secrets.of(Source.KORE):
        case [_, *_], [_, *_]:
            return "signatures of both sources are checked"
        case [_, *_], []:
            return "KORE's signatures can't be checked: give --kore-secret"
        case [], [_, *_]:
            return "Twilio's signatures can't be checked: give --auth-token"
        case _:
            return (
                f"no dev.json in {data}: signatures can't be checked;"
                " start `make run`, or give --auth-token and --kore-secret"
            )


def _show(checked: CheckedRequest, *, verbose: bool, as_json: bool) -> None:
    lines = callback_report.as_lines(checked, verbose=verbose)
    say(callback_report.as_record(checked), ["", *map(styled, lines)], as_json=as_json)


async def _serve(
    handler: ListenRequestHandler, host: str, port: int, announce: Callable[[str], None]
) -> None:
    """Listen until a signal arrives, or until requests can't be shown any more."""
    server = ListenServer(handler.handle)
    stop = event_of_signals()
    try:
        port = await server.start(host, port)
    except OSError as failure:
        raise ConfigurationError(_why_not_listening(failure, host, port)) from failure
    try:
        announce(f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}")
        await first_of(stop.wait(), server.wait_broken())
    finally:
        await server.stop()


def _why_not_listening(failure: OSError, host: str, port: int) -> str:
    if failure.errno == errno.EADDRINUSE:
        return f"port {port} of {host} is taken; choose another with --port"
    return (
        f"can't listen on {host}:{port} ({failure.strerror}); choose another with --port or --host"
    )
