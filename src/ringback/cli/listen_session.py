"""Runs the receiver of `ringback listen`: serves, and prints each request."""

import asyncio
import errno
from collections.abc import Callable
from functools import partial
from pathlib import Path

from ringback.cli.output import echo, say, styled
from ringback.cli.signals import event_of_signals, first_of
from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.errors import ConfigurationError, InvalidCallbackUrl
from ringback.core.http.allowed_addresses import ANYWHERE
from ringback.core.http.ssrf_guard import SsrfGuard
from ringback.core.policy.source_policy import Source
from ringback.dev_environment.dev_file import DevServerDetails
from ringback.dev_receiver import callback_report
from ringback.dev_receiver.handler import ListenOptions, ListenRequestHandler
from ringback.dev_receiver.received_callback import CheckedRequest
from ringback.dev_receiver.seen_tokens import SeenTokens
from ringback.dev_receiver.sender_lookup import ListenAccount, secrets_of
from ringback.dev_receiver.server import ListenServer
from ringback.http_client.http_sender import HttpTransport
from ringback.receiver.verification import ReceiverSecrets
from ringback.runtime.system_clock import SystemClock, stopwatch


def run(
    options: ListenOptions,
    *,
    host: str,
    port: int,
    data: Path,
    show: Callable[[CheckedRequest], None],
    as_json: bool,
) -> None:
    """Receive and show requests, until a signal arrives.

    Raises ConfigurationError if the address is not available.
    """
    # Without a guard: the address is from the user's own command line, not from a customer.
    sender = HttpTransport(stopwatch=stopwatch, guard=SsrfGuard(ANYWHERE))
    handler = ListenRequestHandler(
        options,
        find_account=partial(_account_in, data),
        seen=SeenTokens(),
        clock=SystemClock(),
        transport=sender,
        show=show,
    )

    def announce(address: str) -> None:
        say({"listening": address}, f"listening on {address}", as_json=as_json)
        secrets = secrets_of(_account_in(data), given=options.secrets)
        echo(_what_is_checked(secrets, data), err=as_json)

    asyncio.run(_serve(handler, host, port, announce))


def show_request(
    checked: CheckedRequest, *, verbose: bool, with_event: bool, as_json: bool
) -> None:
    """Print a request, with the result of its verification and the answer to it."""
    lines = callback_report.as_lines(checked, verbose=verbose, with_event=with_event)
    record = callback_report.as_record(checked, with_event=with_event)
    say(record, ["", *map(styled, lines)], as_json=as_json)


def _account_in(data: Path) -> ListenAccount | None:
    """Return the account of the `ringback dev` with this data folder; None if there is none."""
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
                " start `ringback dev`, or give --auth-token and --kore-secret"
            )


async def _serve(
    handler: ListenRequestHandler, host: str, port: int, announce: Callable[[str], None]
) -> None:
    """Listen until a signal arrives, or until a request can't be printed."""
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
