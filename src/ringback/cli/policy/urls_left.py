"""Makes the text about the URLs in use: which depend on a source that ends, and what changes."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from ringback.cli.output import style
from ringback.core.calendar import DAY, HOUR
from ringback.core.counted import counted

Record = Mapping[str, Any]

_WIDTH: Final = len("CALLBACKS")

_COLUMNS: Final = {
    "URLS": "urls",
    "DEPEND": "depending",
    "CHANGE": "changing",
    "CALLBACKS": "callbacks",
}


def lines_of_urls(record: Record, *, limit: int) -> Iterator[str]:
    """Yield what is sent from where now, and what depends on a source that ends."""
    urls = record["urls"]
    if urls is None:
        yield "to see which URLs are affected, name a data folder with --data, or a server"
        yield from _ahead(record)
        return
    yield _sources(urls)
    for ending in urls["ending"]:
        yield _ending(ending)
    yield from _ahead(record)
    yield from _sent(urls["sent"])
    yield ""
    yield f"DEPEND: URLs on a source that ends. CHANGE: URLs with another source on {record['at']}"
    yield from lines_of_groups(urls["groups"], _COLUMNS, limit=limit)


def change_line(urls: Record) -> str:
    """Return how many URLs get another source by the date that is simulated."""
    changing, sent = urls["changing"], urls["sent"]
    verb = "gets" if changing["urls"] == 1 else "get"
    return style(
        f"{changing['urls']} of {counted(urls['urls'], 'URL')} {verb} another source by then"
        f"{_uses(changing)}; it would send {sent['would_move']} of the"
        f" {counted(sent['callbacks'], 'callback')} since {sent['since']}",
        bold=True,
    )


def lines_of_each_url(found: Sequence[Record], at: str) -> Iterator[str]:
    """Yield a line or two about each URL in use."""
    yield ""
    yield f"each URL, and its source on {at}"
    for one in found:
        now, then = one["now"], one["then"]
        change = f" -> {then['source']}" if one["changes"] else ""
        places = f"stored in {counted(one['places'], 'place')}" if one["places"] else "requests"
        last = f", last {one['last']}" if one["last"] else ""
        yield f"  {one['account_sid']}  {one['url']}"
        yield (
            f"    {now['source']}{change}  {places}  {counted(one['callbacks'], 'callback')}{last}"
        )
        yield f"    {then['reason'] if one['changes'] else now['reason']}"


def lines_of_groups(
    groups: Mapping[str, Sequence[Record]], columns: Mapping[str, str], *, limit: int
) -> Iterator[str]:
    """Yield a table for each way of grouping; `columns` has the field of each heading."""
    for by, found in groups.items():
        yield ""
        yield f"by {by}"
        yield "  ".join(head.rjust(_WIDTH) for head in columns)
        for group in found[:limit]:
            numbers = "  ".join(str(group[name]).rjust(_WIDTH) for name in columns.values())
            yield f"{numbers}  {group['name']}"
        if more := found[limit:]:
            urls = counted(sum(group["urls"] for group in more), "URL")
            yield f"  and {len(more)} more with {urls}"


def time_until(seconds: float) -> str:
    """Return how long it is until an instant, or since then, rounded down.

    >>> time_until(7200), time_until(-86400 * 3), time_until(30)
    ('in 2 hours', '3 days ago', 'within the minute')
    """
    span = abs(timedelta(seconds=seconds))
    unit, name = next(
        ((unit, name) for unit, name in ((DAY, "day"), (HOUR, "hour")) if span >= 2 * unit),
        (timedelta(minutes=1), "minute"),
    )
    if span < timedelta(minutes=1):
        return "within the minute" if seconds >= 0 else "just now"
    words = counted(span // unit, name)
    return f"in {words}" if seconds >= 0 else f"{words} ago"


def _sources(urls: Record) -> str:
    parts = ", ".join(_share(one, urls["urls"]) for one in urls["sources"])
    of_all = f"{counted(urls['urls'], 'URL')} of {counted(urls['accounts'], 'account')} in use"
    return style(f"{of_all}: {parts}" if parts else of_all, bold=True)


def _share(one: Record, of: int) -> str:
    return f"{one['urls']} ({round(100 * one['urls'] / of)} %) from {one['source']}"


def _ending(ending: Record) -> str:
    number, left, source = ending["urls"], ending["seconds_left"], ending["source"]
    verb = "depends" if number == 1 else "depend"
    is_ahead = left is None or left > 0
    date = f" at {ending['ends']}, {time_until(left)}" if left is not None else ""
    ends = f"which {'ends' if is_ahead else 'ended'}{date}"
    words = f"{counted(number, 'URL')} {verb} on {source}, {ends}{_uses(ending)}"
    return style(words, fg="yellow" if number else "green")


def _uses(counts: Record) -> str:
    if not counts["urls"]:
        return ""
    return f" ({counts['stored']} stored, {counts['requests']} given with requests)"


def _ahead(record: Record) -> Iterator[str]:
    yield ""
    yield "ahead"
    for change in record["ahead"]:
        effect = "" if "urls" not in change else f": {_changed(change)}"
        left = time_until(change["seconds_left"])
        yield f"  {change['date']}  {left}  {change['meaning']}{effect}"
    if record["ahead_left_out"]:
        yield f"  and {counted(record['ahead_left_out'], 'later change')}"
    if not record["ahead"]:
        yield "  nothing changes any more"


def _changed(change: Record) -> str:
    verb = "gets" if change["urls"] == 1 else "get"
    accounts = f" of {counted(change['accounts'], 'account')}" if change["urls"] else ""
    return f"{counted(change['urls'], 'URL')}{accounts} {verb} another source"


def _sent(sent: Record) -> Iterator[str]:
    yield ""
    by_source = ", ".join(f"{count} from {source}" for source, count in sent["sources"].items())
    number = counted(sent["callbacks"], "callback")
    yield f"sent since {sent['since']}: {number}" + (f", {by_source}" if by_source else "")
    former = sent["changed_since"]
    if former["urls"]:
        urls, callbacks = counted(former["urls"], "URL"), counted(former["callbacks"], "callback")
        yield f"  of these, {callbacks} to {urls} whose fragment has changed since"
