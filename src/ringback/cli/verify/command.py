"""`ringback verify`: is this captured request genuine, and if not, why not?"""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Final

import click

from ringback.captures import CapturedRequest, UnreadableCapture, choose, read_captures
from ringback.cli.base_command import argument, command, option
from ringback.cli.options import data_option, json_option
from ringback.cli.output import say, styled
from ringback.cli.verify import output
from ringback.cli.verify.output import CaptureVerification
from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.errors import ConfigurationError, InvalidCallbackUrl, RingbackError
from ringback.dev_environment.dev_file import DevServerDetails
from ringback.receiver import Callback, Reason, ReceivedRequest, Receiver, Rejected
from ringback.receiver.verification.called_url import SplitUrl

_UNREADABLE: Final = 2
_URL_MAY_BE_WRONG: Final = 2

_Receivers = Callable[[str | Callable[[ReceivedRequest], str]], Receiver]
"""Returns a receiver at this URL that has the given secrets."""


def _secret_option(flag: str, help_: str) -> Callable[..., Any]:
    return option(flag, metavar="SECRET", multiple=True, help=help_)


@command()
@argument("file", type=click.File("rb"), default="-")
@option(
    "--url",
    metavar="URL",
    help="The URL that the callback is configured with; else the one that the request names.",
)
@_secret_option("--auth-token", "Check Twilio's signature with this; may be given several times.")
@_secret_option("--kore-secret", "Check KORE's signature with this, likewise.")
@_secret_option("--shared-key", "Check what Twilio signs with a shared key with this, likewise.")
@_secret_option("--pending-kore-secret", "Accept nothing with this, but say if it signed.")
@data_option
@option("--entry", type=click.IntRange(min=1), metavar="N", help="Take the Nth of several.")
@json_option
def verify(
    *,
    file: BinaryIO,
    url: str | None,
    auth_token: tuple[str, ...],
    kore_secret: tuple[str, ...],
    shared_key: tuple[str, ...],
    pending_kore_secret: tuple[str, ...],
    data: Path,
    entry: int | None,
    as_json: bool,
) -> None:
    """Say whether a captured request is genuine, and if not, why not.

    FILE, or the input, is the request as HTTP has it, a curl command, a HAR file, or a line of
    `ringback listen --json`. Without a secret, those in the dev.json of `ringback dev` are taken.

    The exit code is 0 where it is genuine, 1 where it is rejected, 2 where nothing can be said.
    """
    try:
        if not (auth_token or kore_secret or shared_key):
            auth_token, kore_secret = _secrets_of_dev(data)
        receiver_at = partial(
            Receiver,
            twilio_auth_tokens=auth_token,
            kore_secrets=kore_secret,
            twilio_shared_keys=shared_key,
            pending_kore_secrets=pending_kore_secret,
        )
        found = _find(choose(read_captures(_read(file)), entry), url, receiver_at)
    except (UnreadableCapture, RingbackError) as refusal:
        click.echo(f"ringback: {refusal}", err=True)
        sys.exit(_UNREADABLE)
    say(output.as_record(found), map(styled, output.as_lines(found)), as_json=as_json)
    sys.exit(1 if isinstance(found.result, Rejected) else 0)


def _read(file: BinaryIO) -> bytes:
    if file.isatty():
        click.echo("paste the request, then press Ctrl-D on a line of its own", err=True)
    return file.read()


def _secrets_of_dev(data: Path) -> tuple[tuple[str], tuple[str]]:
    try:
        dev = DevServerDetails.read(data)
    except ConfigurationError:
        raise ConfigurationError(
            f"no secret is given, and there is no dev.json of `ringback dev` in {data}: give"
            " --auth-token, --kore-secret or --shared-key, or the folder with --data"
        ) from None
    return (dev.auth_token,), (dev.kore_secret,)


# ---- checking it --------------------------------------------------------------------------------


def _find(
    capture: CapturedRequest, url: str | None, receiver_at: _Receivers
) -> CaptureVerification:
    if url is not None:
        result, split = _check(capture, receiver_at(url)), SplitUrl.of(url)
        shown = f"{split}{split.fragment}"  # without credentials
        return CaptureVerification(capture=capture, urls=(shown,), result=result, is_url_given=True)
    urls = _urls_named_by(capture)
    # As functions, since a receiver would take braces in a plain URL for a tenant's placeholder.
    results = [(named, _check(capture, receiver_at(partial(_same, named)))) for named in urls]
    best = min(results, key=_rank)
    urls = [best[0]] if _rank(best) < _URL_MAY_BE_WRONG else urls
    return CaptureVerification(
        capture=capture, urls=tuple(urls), result=best[1], is_url_given=False
    )


def _rank(found: tuple[str, Callback | Rejected]) -> int:
    """Rank results by how much they say: genuine, then a reason, then another URL, then nothing."""
    match found[1]:
        case Callback():
            return 0
        case Rejected(Reason.URL_DIFFERS):
            return _URL_MAY_BE_WRONG
        case Rejected(Reason.NOT_EXPLAINED):
            return _URL_MAY_BE_WRONG + 1
        case Rejected():
            return 1


def _same(url: str, _: ReceivedRequest) -> str:
    return url


def _urls_named_by(capture: CapturedRequest) -> list[str]:
    named, refusal = capture.urls(), None
    valid = list[str]()
    for url in named:
        try:
            valid.append(CallbackUrl.parse(url).wire)
        except InvalidCallbackUrl as invalid:
            refusal = refusal or invalid
    if valid:
        return valid
    why = refusal.message if refusal else "it lacks the request line or the Host header"
    raise ConfigurationError(
        f"the request doesn't tell the URL that it was sent to ({why}): give --url"
    )


def _check(capture: CapturedRequest, receiver: Receiver) -> Callback | Rejected:
    result = receiver.receive_request(capture.request)
    return result if isinstance(result, Rejected) else result.callback
