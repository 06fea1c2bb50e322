"""`ringback secrets rehearse`: would all receivers take the pending webhook secret?"""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click

from ringback.cli.awaiting import attempts_of_ended
from ringback.cli.portal import Portal, with_portal


@click.command("rehearse")
@click.argument("urls", metavar="[URL]...", nargs=-1)
@with_portal
def rehearse(*, urls: tuple[str, ...], portal: Portal) -> None:
    """Send test events that the pending secret signs, and report who accepts them.

    They go to all that the account has configured, and to where its newest callbacks went; or to
    each URL that is given. The exit code is 1 unless all accept.
    """
    answer = portal.post("rehearsals", form={"Url": urls})
    callbacks = answer["callbacks"]
    accepted = 0
    all_attempts = attempts_of_ended(portal, [each["sid"] for each in callbacks])
    for callback, attempts in zip(callbacks, all_attempts, strict=True):
        accepted += _is_accepted(attempts)
        ending, more = _ending(attempts)
        click.echo(f"{ending}  {callback['method']:<4}  {callback['url']}{more}")
    click.echo(
        f"{accepted} of {len(callbacks)} accepted;"
        f" activate with `ringback secrets activate {answer['secret_id']}`"
    )
    if accepted < len(callbacks):
        sys.exit(1)


def _is_accepted(attempts: Sequence[Mapping[str, Any]]) -> bool:
    return bool(attempts) and attempts[-1]["result"] == "delivered"


def _ending(attempts: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """Return how the last attempt ended: what stands before its URL, and what behind it."""
    match attempts:
        case [*_, {"result": "delivered"}]:
            return click.style(f"{'accepted':<12}", fg="green"), ""
        case [*_, {"result": "refused", "status_code": status}]:
            return click.style(f"{f'refused {status}':<12}", fg="red"), ""
        case [*_, {"result": "unreachable", "failure": failure}]:
            return click.style(f"{'unreachable':<12}", fg="red"), f"  {failure}"
        case _:
            return click.style(f"{'no answer':<12}", fg="yellow"), ""
