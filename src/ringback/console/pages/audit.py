"""The history: who changed what, when and from where; what it was before, and what it became."""

import json
import shlex
from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any, Final, NamedTuple

from starlette.responses import Response

from ringback.console.access import PATH
from ringback.console.api_caller import JsonObject
from ringback.console.formats import moment
from ringback.console.pages.callbacks import page_of, typed_time
from ringback.console.visit import PageHandlers, Visit
from ringback.core.audit import ActorKind
from ringback.core.calendar import exact
from ringback.core.sids import SidKind

_ROWS: Final = "50"
_FEW: Final = 4
"""If something new or deleted has more fields than this, they have to be opened."""
_LONG: Final = 120
"""A value with more characters than this has to be opened."""
_FILTERS: Final = ("actor", "action", "subject", "from", "to")
_FLAGS: Final = ("account", "actor", "action", "subject")


class ChangedField(NamedTuple):
    """A field that a change has changed, with its values as they are shown; None if not known."""

    name: str
    before: str | None
    after: str | None


async def show(visit: Visit) -> Response:
    """Show the changes, newest first."""
    since, until = typed_time(visit, "from"), typed_time(visit, "to")
    found = await visit.api.get(
        "audit",
        query={
            "AccountSid": visit.asked("account") or None,
            "Actor": visit.asked("actor") or None,
            "Action": visit.asked("action") or None,
            "Subject": visit.asked("subject") or None,
            "Since": since and exact(since),
            "Until": until and exact(until),
            "PageSize": _ROWS,
            "PageToken": visit.asked("page") or None,
        },
    )
    entries = [_shown(visit, one) for one in found["audit"]]
    meta = found["meta"]
    return await visit.page(
        "audit.html",
        title="History",
        days=[(day, list(rows)) for day, rows in groupby(entries, key=lambda one: one["day"])],
        kinds=[kind.value for kind in ActorKind],
        actions=sorted({one["action"] for one in entries}),
        long=_LONG,
        is_filtered=any(visit.asked(name) for name in (*_FILTERS, "account")),
        next_page=page_of(visit, meta["next_page_url"]),
        previous_page=page_of(visit, meta["previous_page_url"]),
        command=_command(visit),
    )


PAGES: Final[PageHandlers] = {"/audit": {"GET": show}}


def _shown(visit: Visit, entry: JsonObject) -> dict[str, Any]:
    """Return an entry with what its row shows."""
    fields = list(changed_fields(entry["before"], entry["after"]))
    created = moment(entry["date_created"]) or visit.now
    return {
        **entry,
        "day": f"{created:%Y-%m-%d}",
        "who": entry["actor_name"] or entry["actor"] or entry["actor_kind"].replace("_", " "),
        "actor_filter": visit.with_query(actor=entry["actor"] or entry["actor_kind"], page=None),
        "action_filter": visit.with_query(action=entry["action"], page=None),
        "link": _page_of_subject(visit, entry),
        "fields": fields,
        "is_new": entry["before"] is None and entry["after"] is not None,
        "is_gone": entry["after"] is None and entry["before"] is not None,
        "has_many": (entry["before"] is None or entry["after"] is None) and len(fields) > _FEW,
    }


def changed_fields(
    before: Mapping[str, Any] | None, after: Mapping[str, Any] | None
) -> Iterator[ChangedField]:
    """Yield the fields of a change. Of something new or deleted, empty fields are left out.

    >>> list(changed_fields({"data_limit": 1000}, {"data_limit": None}))
    [ChangedField(name='data_limit', before='1000', after='none')]
    >>> list(changed_fields(None, {"name": "deploy", "role": None}))
    [ChangedField(name='name', before=None, after='deploy')]
    """
    for name in {**(before or {}), **(after or {})}:
        was, became = (_value(fields, name) for fields in (before, after))
        if None not in (before, after) or {was, became} != {None, "none"}:
            yield ChangedField(name, was, became)


def _value(fields: Mapping[str, Any] | None, name: str) -> str | None:
    if fields is None or name not in fields:
        return None
    value = fields[name]
    if value is None or value == "":
        return "none"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _page_of_subject(visit: Visit, entry: JsonObject) -> str | None:
    """Return the page of what was changed; None if it has none."""
    subject: str = entry["subject"]
    of_account = f"?account={entry['account_sid']}" if visit.is_operator else ""
    if subject.startswith(SidKind.CALLBACK):
        return f"{PATH}/callbacks/{subject}"
    if subject.startswith(SidKind.ACCOUNT):
        return f"{PATH}/accounts/{subject}" if visit.is_operator else None
    if subject.startswith(("whs_", SidKind.API_KEY)) and entry["account_sid"]:
        return f"{PATH}/secrets{of_account}"
    if subject.startswith((SidKind.STREAM_SINK, SidKind.STREAM_SUBSCRIPTION)):
        return f"{PATH}/streams?stream={subject}" + of_account.replace("?", "&")
    return f"{PATH}/move" if subject == "policy" else None


def _command(visit: Visit) -> str:
    """Return the command that gives the same list."""
    given = [(name, visit.asked(name)) for name in _FLAGS]
    for name, flag in (("from", "since"), ("to", "until")):
        typed = typed_time(visit, name)
        given.append((flag, f"{typed:%Y-%m-%dT%H:%MZ}" if typed else ""))
    flags = [f"--{name} {shlex.quote(value)}" for name, value in given if value]
    return " ".join(["ringback audit", *flags])
