"""`ringback diff`: two callbacks side by side, or one callback as both sources send it."""

from collections.abc import Iterator

import click

from ringback.cli.base_command import argument, command, option
from ringback.cli.comparison_output import comparison_lines, terminal_width, wrapped
from ringback.cli.options import prints_answer
from ringback.cli.output import Output
from ringback.cli.portal_commands import with_portal
from ringback.core.errors import ConfigurationError
from ringback.portal_client import JsonObject, PortalClient


@command(
    examples={
        "ringback diff": "Compare the newest callback's request with the other source's request:",
        'ringback diff "$CALLBACK_SID"': (
            "Compare the request of one callback with the other source's request:"
        ),
        "ringback diff --example": "Compare the two requests of the example in KORE's notice:",
    }
)
@argument(
    "sid",
    required=False,
    help="SID of the callback to compare, for example CB0123abc. Default: the newest callback.",
)
@argument(
    "other",
    required=False,
    help="SID of another callback to compare with. Default: compare with the request that the other"
    " source would send.",
)
@with_portal
@option(
    "--source",
    metavar="SOURCE",
    help="Source to compare the callback's request with, such as twilio or kore. Default:"
    " kore for a"
    " callback from twilio, and twilio for one from kore.",
)
@option(
    "--example",
    is_flag=True,
    help="Compare the two requests of the example in KORE's notice, signed with made-up secrets.",
)
@prints_answer
def diff(
    *, sid: str | None, other: str | None, portal: PortalClient, source: str | None, example: bool
) -> Output:
    """Compare the requests of two callbacks, or of two sources.

    Shows two requests side by side, how each signature is computed, and what a receiver has to
    change. If you give fewer than two SIDs, the callback's request is compared with the request
    that the other source (twilio or kore) would send; this second request is computed, not sent.
    """
    if example:
        if sid is not None or source is not None:
            raise click.UsageError("--example compares the notice's example; leave out the others")
        comparison = portal.get("example_comparison")
        return comparison, _lines(comparison)
    query = {"Other": other, "Source": source}
    comparison = portal.get("callbacks", sid or _newest(portal), "comparison", query=query)
    return comparison, _lines(comparison)


def _newest(portal: PortalClient) -> str:
    """Return the SID of the newest callback; raises ConfigurationError if there is none."""
    callbacks = portal.newest("callbacks", query={}, limit=1)["callbacks"]
    if not callbacks:
        raise ConfigurationError(
            "there is no callback to compare yet; update a SIM with a CallbackUrl, or run"
            " `ringback trigger sim.inactive`"
        )
    return callbacks[0]["sid"]


def _lines(comparison: JsonObject) -> Iterator[str]:
    width = terminal_width()
    yield from wrapped(_title(comparison["first"], comparison["second"]), width)
    yield ""
    yield from comparison_lines(comparison, width=width)


def _title(first: JsonObject, second: JsonObject) -> str:
    """Return a sentence or two that name the two requests."""
    if first["callback_sid"] is None and second["callback_sid"] is None:
        return "The example of KORE's notice, as both sources send it, with made-up secrets."
    for computed, real in ((first, second), (second, first)):
        if computed["callback_sid"] is None:
            return (
                f"{real['callback_sid']} comes from {real['source']}. The request of"
                f" {computed['source']} is computed with the current secrets; it was not sent."
            )
    return (
        f"{first['callback_sid']} from {first['source']}, and {second['callback_sid']} from"
        f" {second['source']}."
    )
