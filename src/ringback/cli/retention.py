"""`ringback retention`: show, set and unset how long what is kept."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import click

from ringback.cli.base_command import argument, command, group, option, option_group
from ringback.cli.options import prints_answer
from ringback.cli.output import Output
from ringback.cli.portal_commands import with_operators_portal
from ringback.core.retention import KINDS

if TYPE_CHECKING:
    from ringback.portal_client import PortalClient

_account: Final = option(
    "--account",
    metavar="SID",
    help="SID of the account (AC…) whose times these are. Default: those of the whole server.",
)
_sure: Final = option(
    "--yes",
    is_flag=True,
    help="Do it although something will be kept for less long than before, and be deleted.",
)


@group()
def retention() -> None:
    """Show or change how long callbacks and their records are kept.

    All times count from the end of a callback. What has not ended is kept.
    """


@command("show", examples={"ringback retention show": "Show the times, and where each was set."})
@option_group("Whose times", _account)
@prints_answer
@with_operators_portal
def show(*, account: str | None, portal: "PortalClient") -> Output:
    """Show how long what is kept, and where each time was set."""
    answer = portal.get("retention", query={"AccountSid": account})
    return answer, _lines_of(answer)


@command(
    "set",
    examples={
        "ringback retention set --attempts 60d --delivered 60d": (
            "Keep delivered callbacks and the records of attempts for 60 days."
        ),
        "ringback retention set --answers 1h --yes": (
            "Delete the bodies of answers an hour after the end of their callbacks."
        ),
    },
)
@option_group(
    "Times",
    *(
        option(f"--{kind}", metavar="TIME", help=f"Time for {words}, like 30d, or forever.")
        for kind, words in zip(
            KINDS,
            (
                "the bodies of receivers' answers",
                "the records of attempts, and shadow copies",
                "delivered callbacks with all their records",
                "failed and discarded callbacks with all their records",
            ),
            strict=True,
        )
    ),
)
@option_group("What to change", _account, _sure)
@prints_answer
@with_operators_portal
def set_times(
    *, account: str | None, yes: bool, portal: "PortalClient", **times: str | None
) -> Output:
    """Set how long what is kept; it takes effect at once.

    If something will be kept for less long than before, the command says how much would go now,
    and changes nothing unless you add --yes. Nothing brings back what is deleted.
    """
    if not any(times.values()):
        raise click.UsageError(f"give at least one of {', '.join(f'--{kind}' for kind in KINDS)}")
    return _change(portal, account, times, is_sure=yes)


@command(
    "unset",
    examples={
        "ringback retention set --attempts 60d\nringback retention unset attempts --yes": (
            "Go back to the time in the settings, or the default of new data."
        )
    },
)
@argument("kind", metavar="TIME", type=click.Choice(KINDS), help="The time to unset.")
@option_group("What to change", _account, _sure)
@prints_answer
@with_operators_portal
def unset(*, kind: str, account: str | None, yes: bool, portal: "PortalClient") -> Output:
    """Unset a time that was set by `ringback retention set`, so that another one applies."""
    return _change(portal, account, {kind: "unset"}, is_sure=yes)


retention.add_command(show)
retention.add_command(set_times)
retention.add_command(unset)


def _change(
    portal: "PortalClient", account: str | None, times: Mapping[str, str | None], *, is_sure: bool
) -> Output:
    form = {kind.capitalize(): time for kind, time in times.items()}
    confirm = "yes" if is_sure else None
    answer = portal.post("retention", form={**form, "AccountSid": account, "Confirm": confirm})
    return answer, _lines_of(answer)


def _lines_of(answer: Mapping[str, Any]) -> Iterator[str]:
    whose = answer["account_sid"] or "the whole server"
    yield from _lines_about(whose, answer["times"])
    for other in answer["accounts"]:
        yield from _lines_about(other["account_sid"], other["times"])


def _lines_about(whose: str, times: list[Mapping[str, str]]) -> Iterator[str]:
    yield f"{whose}:"
    for one in times:
        yield f"  {one['name']:<12} {one['time']:<8} ({one['origin']})"
