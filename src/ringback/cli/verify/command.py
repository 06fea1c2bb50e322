"""`ringback verify`: says whether a captured request is genuine, and if not, why."""

import json
import sys
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import click

from ringback.cli.base_command import argument, command, option, option_group
from ringback.cli.options import data_option, json_option, variable_option
from ringback.cli.output import echo, say, styled
from ringback.core.errors import ConfigurationError, RingbackError
from ringback.core.sids import SidKind, is_sid
from ringback.settings import ENVIRONMENT

if TYPE_CHECKING:
    from ringback.portal_client import PortalClient


class UncheckedRequest(RingbackError):
    """A request could not be checked, because it or a secret is missing or can't be read."""

    exit_code: Final = 2


def _open(ctx: click.Context, param: click.Parameter, given: str) -> str | IO[bytes]:
    """Return the SID of a callback unchanged, and else the opened file."""
    if is_sid(given, SidKind.CALLBACK) and not Path(given).exists():
        return given
    return click.File("rb").convert(given, param, ctx)


def _secret_option(flag: str, help_: str) -> Any:
    return option(flag, metavar="SECRET", multiple=True, help=help_)


@command(
    examples={
        'ringback verify "$CALLBACK_SID"': "Check the request of a callback of `ringback dev`:",
        'ringback callbacks show "$CALLBACK_SID" | ringback verify': (
            "Check a request that another command prints:"
        ),
        'ringback verify "$CALLBACK_SID" --auth-token "$TWILIO_AUTH_TOKEN"': (
            "Check the signature of a callback with the Auth Token that you give:"
        ),
    }
)
@argument(
    "capture",
    metavar="[FILE|SID]",
    default="-",
    callback=_open,
    help="File with the captured request, or SID of a callback to get from the server. Default:"
    " standard input.",
)
@option_group(
    "Which secrets",
    _secret_option(
        "--auth-token",
        "Auth Token to check Twilio's signature with. You can give this option several times.",
    ),
    _secret_option(
        "--kore-secret",
        "Webhook secret to check KORE's signature with. You can give this option several times.",
    ),
    _secret_option(
        "--shared-key",
        "Shared key to check Twilio's signature with, if Twilio signs with one instead of the Auth"
        " Token. You can give this option several times.",
    ),
    _secret_option(
        "--pending-kore-secret",
        "KORE webhook secret that is still pending (not active yet). If it signed the request, the"
        " request is rejected, and the reason says so.",
    ),
)
@option_group(
    "Which request",
    option(
        "--url",
        metavar="URL",
        help="URL that the callback is configured with, for example https://a.example/hooks."
        " Default:"
        " the URL in the request.",
    ),
    option(
        "--entry",
        type=click.IntRange(min=1),
        metavar="N",
        help="If the input has several requests, such as a HAR file, check the Nth, counted from 1."
        " Default: the only one with a signature.",
    ),
)
@option_group(
    "Which server",
    data_option,
    variable_option(
        "--server",
        "URL",
        "URL of the server to get the callback from, instead of `ringback dev`. To sign in,"
        " the command uses the Auth Token in the environment variable RINGBACK_AUTH_TOKEN. If the"
        " variable is not set, it uses the first --auth-token.",
    ),
    variable_option(
        "--account-sid", "SID", "SID of the account (AC…) to sign in with at --server."
    ),
)
@json_option
def verify(
    *,
    capture: str | IO[bytes],
    url: str | None,
    auth_token: tuple[str, ...],
    kore_secret: tuple[str, ...],
    shared_key: tuple[str, ...],
    pending_kore_secret: tuple[str, ...],
    data: Path,
    server: str | None,
    account_sid: str | None,
    entry: int | None,
    as_json: bool,
) -> None:
    """Check the signature of a callback request that you captured.

    The request can be raw HTTP text, a curl command, a HAR file, a line of `ringback listen
    --json`, or the output of `ringback callbacks show`. If you give no secret, the secrets of
    `ringback dev` are used.

    The exit code is 0 if the request is genuine, 1 if not, and 2 if it can't be checked.
    """
    from ringback.captures import UnreadableCapture, choose, read_captures
    from ringback.cli.verify import output
    from ringback.cli.verify.capture_check import check
    from ringback.receiver import Receiver, Rejected

    has_secret = bool(auth_token or kore_secret or shared_key)
    try:
        if isinstance(capture, str):
            given = _fetch(capture, _portal(data, server, account_sid, auth_token))
        else:
            given = _read(capture)
        if not has_secret:
            if isinstance(capture, str) and server:
                raise ConfigurationError(
                    f"there is no secret to check with: give those of the account at {server} with"
                    " --auth-token and --kore-secret"
                )
            auth_token, kore_secret = _secrets_of_dev(data)
        receiver_at = partial(
            Receiver,
            twilio_auth_tokens=auth_token,
            kore_secrets=kore_secret,
            twilio_shared_keys=shared_key,
            pending_kore_secrets=pending_kore_secret,
        )
        found = check(choose(read_captures(given), entry), url, receiver_at)
    except (UnreadableCapture, RingbackError) as refusal:
        raise UncheckedRequest(str(refusal)) from None
    say(output.as_record(found), map(styled, output.as_lines(found)), as_json=as_json)
    sys.exit(1 if isinstance(found.result, Rejected) else 0)


def _read(file: IO[bytes]) -> bytes:
    if file.isatty():
        echo("paste the request, then press Ctrl-D on a line of its own", err=True)
    return file.read()


def _portal(
    data: Path, server: str | None, account_sid: str | None, auth_tokens: tuple[str, ...]
) -> "PortalClient":
    from ringback.cli.portal_commands import asked_portal

    if not server and not account_sid:
        return asked_portal(data, None, None, None)
    token = ENVIRONMENT.get("RINGBACK_AUTH_TOKEN") or next(iter(auth_tokens), None)
    return asked_portal(data, server, account_sid, token)


def _fetch(sid: str, portal: "PortalClient") -> bytes:
    """Return a callback as `ringback callbacks show --json` prints it."""
    callback = portal.get("callbacks", sid)
    attempts = portal.get("callbacks", sid, "attempts")["attempts"]
    return json.dumps({**callback, "attempts": attempts}).encode()


def _secrets_of_dev(data: Path) -> tuple[tuple[str], tuple[str]]:
    from ringback.dev_environment.dev_file import DevServerDetails

    try:
        dev = DevServerDetails.read(data)
    except ConfigurationError:
        raise ConfigurationError(
            f"there is no secret to check with, and no dev.json of `ringback dev` in {data}: give"
            " --auth-token, --kore-secret or --shared-key, or the data folder with --data"
        ) from None
    return (dev.auth_token,), (dev.kore_secret,)
