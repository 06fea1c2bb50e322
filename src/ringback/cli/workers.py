"""`ringback workers`: show the processes of a server."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ringback.cli.base_command import command
from ringback.cli.options import prints_answer
from ringback.cli.output import Output
from ringback.cli.portal_commands import with_operators_portal

if TYPE_CHECKING:
    from ringback.portal_client import PortalClient


@command(examples={"ringback workers": "List the processes of `ringback dev`: there is one."})
@prints_answer
@with_operators_portal
def workers(*, portal: "PortalClient") -> Output:
    """List the processes of a server, and what each of them does.

    A line says whether a process is alive, since when it runs, how many of the 256 shards of
    destinations it sends to, and for how long the callback that is due longest there has waited.
    On a server other than `ringback dev`, needs an operator's key, which
    `ringback accounts keys create --operator` makes.
    """
    answer = portal.get("workers")
    return answer, _lines_of(answer)


def _lines_of(answer: Mapping[str, Any]) -> Iterator[str]:
    rows = [("PROCESS", "ROLE", "STATE", "STARTED", "SHARDS", "OLDEST DUE")]
    rows += [_row_of(one) for one in answer["workers"]]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(map(str.ljust, row, widths)).rstrip()


def _row_of(one: Mapping[str, Any]) -> tuple[str, ...]:
    late = one["seconds_late"]
    state = "alive" if one["is_alive"] else "gone"
    shown = "-" if late is None else f"{late:.1f} s ago"
    return one["name"], one["role"], state, one["started"], str(one["shards"]), shown
