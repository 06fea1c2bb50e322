"""`ringback links`: create, list and end links to one callback or destination."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import click

from ringback.cli.base_command import argument, group, option, option_group
from ringback.cli.options import limit_option, prints_answer, prints_record
from ringback.cli.output import Output
from ringback.cli.portal_commands import newest, with_operators_portal
from ringback.cli.time_arguments import ahead, time_option
from ringback.core.accounts.shared_link import LONGEST_LIFETIME, USUAL_LIFETIME

if TYPE_CHECKING:
    from ringback.portal_client import JsonObject, PortalClient

_CREATED: Final = """\
link to the {kind} {subject}, until {date_expires}; shown now, and never again:

  {url}"""


@group()
def links() -> None:
    """Create, list and end read-only links to one callback or destination.

    A link is for somebody who can't sign in, such as the owner of a receiver. Whoever has it can
    read that page of the console until it expires.
    """


@links.command(
    "create",
    examples={
        'ringback links create --callback "$CALLBACK_SID" --days 2': (
            "Make a link to a callback, for two days:"
        ),
        'ringback links create --callback "$CALLBACK_SID" --note "for Jo at Acme"': (
            "Add a note to a link:"
        ),
    },
)
@option_group(
    "The page",
    option("--callback", metavar="SID", help="Make a link to the callback with this SID (CB…)."),
    option(
        "--destination",
        metavar="URL",
        help="Make a link to the destination of this URL, for example https://receiver.example.",
    ),
    option(
        "--account",
        metavar="SID",
        help="The account whose destination it is (AC…); only an operator's key needs it.",
    ),
)
@option_group(
    "The link",
    option(
        "--days",
        type=click.IntRange(1, LONGEST_LIFETIME.days),
        metavar="N",
        help=f"How many days the link can be opened. Default: {USUAL_LIFETIME.days}.",
    ),
    time_option(
        "--until",
        "When the link expires, in place of --days: 2h (in two hours), or 2026-11-24T10:00Z.",
    ),
    option("--note", metavar="TEXT", help="What the link is for."),
)
@prints_record
@with_operators_portal
def create(
    *,
    portal: "PortalClient",
    callback: str | None,
    destination: str | None,
    account: str | None,
    days: int | None,
    until: str | None,
    note: str | None,
) -> Output:
    """Make a link and print it; it is shown only once."""
    if (callback is None) == (destination is None):
        raise click.UsageError("a link shows one page: give either --callback or --destination")
    if days is not None and until is not None:
        raise click.UsageError("give either --days or --until, not both")
    form = {
        "Callback": callback,
        "Destination": destination,
        "AccountSid": account,
        "Days": None if days is None else str(days),
        "Until": ahead(until, portal),
        "Note": note,
    }
    made = portal.post("links", form=form)
    record = {**made, "url": f"{portal.base_url}/console/links/{made['token']}"}
    return record, _CREATED.format(**record)


@links.command(
    "list", examples={"ringback links list": "Show the newest links, also those that have ended:"}
)
@option_group("Which links", limit_option)
@prints_answer
@with_operators_portal
def list_links(*, portal: "PortalClient", limit: int) -> Output:
    """List links, newest first.

    The columns: SID, time of creation (UTC), state, when it expires or has ended, number of visits,
    what it shows, and its note. With an operator's key, the links of all accounts are listed.
    """
    return newest(
        portal,
        "links",
        lambda found: map(_row, found),
        query={},
        limit=limit,
        nothing="no links; `ringback links create` makes one",
    )


@links.command(
    "end",
    examples={
        'ringback links create --callback "$CALLBACK_SID"\n'
        "LINK_SID=$(ringback links list --limit 1 | cut -d ' ' -f 1)\n"
        'ringback links end "$LINK_SID"': "Make a link, and end it again:"
    },
)
@argument("sid", help="SID of the link, for example SL0123abc.")
@prints_record
@with_operators_portal
def end(*, portal: "PortalClient", sid: str) -> Output:
    """End a link, so that nobody can open it any more."""
    portal.delete("links", sid)
    return {"sid": sid, "ended": True}, f"the link {sid} has ended"


def _row(link: "JsonObject") -> str:
    return "  ".join(_columns(link))


def _columns(link: "JsonObject") -> Iterator[str]:
    yield from (link["sid"], link["date_created"], f"{link['state']:<7}")
    yield link["date_ended"] or link["date_expires"]
    yield f"{link['uses']} visit{'' if link['uses'] == 1 else 's'}"
    yield from (link["kind"], link["subject"])
    if link["note"]:
        yield link["note"]
