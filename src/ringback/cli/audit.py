"""`ringback audit`: shows who changed what, when and from where."""

import json
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from ringback.cli.base_command import command, option, option_group
from ringback.cli.options import json_lines_option, limit_option
from ringback.cli.output import echo, say
from ringback.cli.portal_commands import with_operators_portal
from ringback.cli.time_arguments import ago, time_option

if TYPE_CHECKING:
    from ringback.portal_client import JsonObject, PortalClient

_LARGEST_PAGE: Final = "1000"
_SHOWN: Final = 100


@command(
    examples={
        "ringback audit": "Show the newest changes:",
        "ringback audit --action CreateKey --since 30d": (
            "Show who created API keys in the last 30 days:"
        ),
        'ringback audit --author "$CALLBACK_SID"': ("Show who created a callback, and when:"),
        "ringback audit --all --json > audit.jsonl": "Export all entries, as JSON lines:",
    }
)
@option_group(
    "Which changes",
    option(
        "--account",
        metavar="SID",
        help="Show only changes that are about the account with this SID (AC…).",
    ),
    option(
        "--actor",
        metavar="ACTOR",
        help="Show only changes made with these credentials: the SID of an API key or of an account"
        " (its Auth Token), or the id of an API client; or those by command_line, settings_file or"
        " server.",
    ),
    option(
        "--action",
        metavar="NAME",
        help="Show only changes by this operation, for example CreateFleet.",
    ),
    option(
        "--subject",
        metavar="SID",
        help="Show only changes of what has this SID, id or name, for example policy.",
    ),
    time_option(
        "--since",
        "Show only changes at or after this time: 2h (two hours ago), or 2026-11-24T10:00Z.",
    ),
    time_option(
        "--until", "Show only changes before this time: 2h (two hours ago), or 2026-11-24T10:00Z."
    ),
    limit_option,
    option("--all", "is_all", is_flag=True, help="Show all of them, however many there are."),
)
@option_group(
    "Instead of changes",
    option(
        "--author",
        "of",
        metavar="SID",
        help="Show who created the callback, message or eSIM Profile with this SID, or updated this"
        " SIM last: these leave no entry.",
    ),
)
@option_group("Output", json_lines_option)
@with_operators_portal
def audit(
    *,
    portal: "PortalClient",
    account: str | None,
    actor: str | None,
    action: str | None,
    subject: str | None,
    since: str | None,
    until: str | None,
    limit: int,
    is_all: bool,
    of: str | None,
    as_json: bool,
) -> None:
    """Show who changed what, newest first.

    The columns: time (UTC), who made the change, from where, what was done, what was changed, and
    how: its fields before and after. There are no secrets in it.

    An account sees only the changes that are about it. On a server other than `ringback dev`, an
    operator's key sees all, which `ringback accounts keys create --operator` makes.
    """
    if of is not None:
        author = portal.get("authors", of)
        say(author, "  ".join(_who_did_what(author)), as_json=as_json)
        return
    query = {
        "AccountSid": account,
        "Actor": actor,
        "Action": action,
        "Subject": subject,
        "Since": ago(since, portal),
        "Until": ago(until, portal),
        "PageSize": _LARGEST_PAGE if is_all else str(limit),
    }
    entries = (one for page in portal.pages("audit", query=query) for one in page["audit"])
    is_empty = True
    for entry in islice(entries, None if is_all else limit):
        is_empty = False
        say(entry, _line(entry), as_json=as_json)
    if is_empty and not as_json:
        echo("no changes")


def _line(entry: "JsonObject") -> str:
    when, who, *what = _who_did_what(entry)
    return "  ".join([when, who, entry["address"] or "-", *what, *_changes(entry)])


def _who_did_what(entry: "JsonObject") -> list[str]:
    who = entry["actor_name"] or entry["actor"] or entry["actor_kind"].replace("_", " ")
    return [entry["date_created"], who, entry["action"], entry["subject"]]


def _changes(entry: "JsonObject") -> Iterator[str]:
    """Yield `field: before -> after` for each field of a change, cut to a readable length."""
    before: dict[str, Any] = entry["before"] or {}
    after: dict[str, Any] = entry["after"] or {}
    for name in {**before, **after}:
        was, became = (
            json.dumps(fields.get(name), ensure_ascii=False)[:_SHOWN] for fields in (before, after)
        )
        if entry["before"] is None:
            yield f"{name}: {became}"
        elif entry["after"] is None:
            yield f"{name}: {was}"
        else:
            yield f"{name}: {was} -> {became}"
