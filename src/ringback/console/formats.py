"""Writes values as the pages show them: durations, times, URLs, numbers and shares.

The rules are the same on all pages: a list shows one unit of a duration, the text of one callback
two; times are UTC; nothing is an empty string, never a dash.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

from markupsafe import Markup, escape

from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.errors import InvalidCallbackUrl
from ringback.core.events.event_kinds import MARKS, OF_DESTINATIONS, TEST_EVENT
from ringback.core.policy.source_policy import Source

_UNITS: Final = (("day", 86400), ("h", 3600), ("min", 60), ("s", 1))
_WORDS: Final = {
    "sim": "SIM update",
    "wireless": "SIM update",
    "sms": "SMS",
    "ip": "Datagram",
    "command": "Command",
    "esim": "eSIM profile",
    "connection": "Connection events",
    TEST_EVENT: "Test event",
}
"""Kinds of events as headings."""
_STATUSES: Final = ("SimStatus", "CommandStatus", "Status")
_EVENT_WIDTH: Final = 40
"""The most characters of a parameter's name or value that stand for an event."""
_BREAKS: Final = re.compile(r"([/?&])")
_FAILURES: Final[Mapping[str, str]] = {
    "name": "name not found",
    "guard": "forbidden address",
    "connect": "no connection",
    "connect_timeout": "no connection in time",
    "egress": "no way out",
    "proxy": "proxy fails",
    "proxy_refused": "proxy refused",
    "proxy_timeout": "proxy too slow",
    "tls": "TLS failed",
    "certificate_name": "bad certificate",
    "certificate_expired": "certificate expired",
    "certificate_untrusted": "bad certificate",
    "stale": "connection closed",
    "read_timeout": "no answer in time",
    "total_timeout": "no answer in time",
    "no_time": "no time left",
    "closed": "connection closed",
    "protocol": "not HTTP",
    "secret": "secret is gone",
    "source": "source is gone",
    "shortage": "shortage here",
    "no_local_port": "no port left here",
    "lease": "moved to another process",
    "held": "held back",
    "internal": "error in Ringback",
    "kinesis_client": "can't use AWS here",
    "kinesis_write": "stream refused it",
    "kinesis_role": "role not assumed",
    "kinesis_shards": "no shards readable",
    "kinesis_stream": "no such stream",
}
"""Why no answer came, in a few words, by the name of the failure."""
_PHRASES: Final[Mapping[int, str]] = {status.value: status.phrase for status in HTTPStatus}


# ---- time ----------------------------------------------------------------------------------------


def moment(text: str | datetime | None) -> datetime | None:
    """Return the instant in an API's answer."""
    if text is None or isinstance(text, datetime):
        return text
    return datetime.fromisoformat(text)


def milliseconds(value: float | None) -> str:
    """Return a measured time with its unit: `12 ms`, `2.01 s`.

    >>> [milliseconds(value) for value in (0.23, 12.4, 552.0, 2010.0, 61000.0, None)]
    ['0.2 ms', '12 ms', '552 ms', '2.01 s', '61 s', '']
    """
    if value is None:
        return ""
    if value < 9.95:
        return f"{value:.1f} ms"
    if value < 999.5:
        return f"{value:.0f} ms"
    return f"{value / 1000:.2f} s" if value < 9995 else f"{value / 1000:.0f} s"


def duration(seconds: float, *, units: int = 1) -> str:
    """Return a time span in its largest unit, or in its two largest, rounded down.

    >>> duration(47), duration(330), duration(6500, units=2), duration(9 * 86400), duration(0.2)
    ('47 s', '5 min', '1 h 48 min', '9 days', '0 s')
    """
    left, parts = int(abs(seconds)), list[str]()
    for name, size in _UNITS:
        number, left = divmod(left, size)
        if number or (name == "s" and not parts):
            parts.append(f"{number} {name}{'s' if name == 'day' and number != 1 else ''}")
        elif parts:
            break
        if len(parts) == units:
            break
    return " ".join(parts)


def clock_time(when: str | datetime | None) -> str:
    """Return the time of day, in UTC: `04:02:07`."""
    found = moment(when)
    return "" if found is None else f"{found:%H:%M:%S}"


def full_time(when: str | datetime | None) -> str:
    """Return a date and time, in UTC: `2026-11-27 04:03:40Z`."""
    found = moment(when)
    return "" if found is None else f"{found:%Y-%m-%d %H:%M:%S}Z"


def long_day(when: str | datetime | None) -> str:
    """Return a date in words: `7 December 2026`."""
    found = moment(when)
    return "" if found is None else f"{found.day} {found:%B %Y}"


def short_day(when: str | datetime | None) -> str:
    """Return a date as short as a picture needs it: `7 Dec`."""
    found = moment(when)
    return "" if found is None else f"{found.day} {found:%b}"


def time_tag(when: str | datetime | None, shown: str | None = None) -> Markup:
    """Return an instant as an HTML element; `shown` is its text, if not the time of day."""
    found = moment(when)
    if found is None:
        return Markup("")
    exact = found.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    text = clock_time(found) if shown is None else shown
    return Markup('<time datetime="{}">{}</time>').format(exact, text)


def until(when: str | datetime | None, now: datetime, *, units: int = 1) -> str:
    """Return how far ahead an instant is: `in 5 min`, or `now` if it has come."""
    found = moment(when)
    if found is None:
        return ""
    left = (found - now).total_seconds()
    return f"in {duration(left, units=units)}" if left >= 1 else "now"


def ago(when: str | datetime | None, now: datetime) -> str:
    """Return how long ago an instant was, in one unit: `5 min ago`."""
    found = moment(when)
    return "" if found is None else f"{duration((now - found).total_seconds())} ago"


def in_days(when: str | datetime, now: datetime) -> str:
    """Return how far ahead a date is, for a list: `9 days`."""
    found = moment(when) or now
    return duration((found - now).total_seconds())


# ---- numbers -------------------------------------------------------------------------------------


def number(value: float | None) -> str:
    """Return a number with commas between thousands.

    >>> number(1234567), number(None)
    ('1,234,567', '')
    """
    return "" if value is None else f"{value:,}"


def share(part: int, whole: int) -> str:
    """Return how many of how many: below 100 in numbers, above in percent.

    >>> [share(*pair) for pair in ((14, 17), (305, 1000), (9951, 10000), (500, 500), (0, 0))]
    ['14 of 17', '30.5 %', '99.51 %', '100 %', '']
    >>> share(999_999, 1_000_000)
    '99.99 %'
    """
    if not whole:
        return ""
    if whole < 100:
        return f"{part} of {whole}"
    if part == whole:
        return "100 %"
    places = 2 if part / whole >= 0.99 else 1
    scale = 10**places
    # Rounded down, so that only all of them are 100 %.
    return f"{part * 100 * scale // whole / scale:.{places}f} %"


def size(number_of_bytes: int) -> str:
    """Return a number of bytes in its largest unit.

    >>> size(512), size(3 * 1024 * 1024)
    ('512 B', '3.0 MiB')
    """
    value = float(number_of_bytes)
    for unit in ("B", "KiB", "MiB"):
        if value < 1024:
            return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} GiB"


# ---- URLs and texts ------------------------------------------------------------------------------


def url_tag(url: str, *, fragment: bool = True) -> Markup:
    """Return a URL as an HTML element: the host in ink, the rest muted, with places to break.

    `https://` is left out. Without `fragment`, `cbs` is left out too, because its source is beside.
    """
    rest = url.removeprefix("https://")
    place, _, asked = rest.partition("#")
    start = place.find("://") + 3 if "://" in place else 0
    ends = [at for mark in "/?" if (at := place.find(mark, start)) >= 0]
    host = place[: min(ends, default=len(place))]
    shown = escape(host) + _muted(place[len(host) :])
    parts = [part for part in asked.split("&") if part]
    if not fragment:
        parts = [part for part in parts if not part.startswith("cbs=")]
    for index, part in enumerate(parts):
        mark = Markup("<wbr><i>#</i>") if index == 0 else Markup("<i>&amp;</i>")
        ink = escape(part) if part.startswith("cbs=") else Markup("<i>{}</i>").format(part)
        shown += mark + ink
    return Markup('<span class="url">{}</span>').format(shown)


def _muted(text: str) -> Markup:
    return Markup("<i>{}</i>").format(breakable(text)) if text else Markup("")


def breakable(text: str) -> Markup:
    """Return a text in which a line may break after each `/`, `?` and `&`."""
    pieces = _BREAKS.split(text)
    shown = Markup("")
    for piece in pieces:
        shown += escape(piece)
        if _BREAKS.fullmatch(piece):
            shown += Markup("<wbr>")
    return shown


@lru_cache(maxsize=2048)
def host_of(url: str) -> str:
    """Return the scheme, host and port of a URL, or the URL itself if it has none."""
    try:
        return CallbackUrl.parse(url, sources=None).destination
    except InvalidCallbackUrl:
        return url


def ticked(text: str) -> Markup:
    """Return a text in which names between backticks are strong.

    >>> str(ticked("the current phase, `before`"))
    'the current phase, <b>before</b>'
    """
    pieces = text.split("`")
    strong = (Markup("<b>{}</b>").format(one) if at % 2 else one for at, one in enumerate(pieces))
    return Markup("").join(strong)


def path_and_query(url: str) -> Markup:
    """Return the path and query of a URL, as a request line has them.

    >>> str(path_and_query("https://a.example/p?x=1"))
    '/<wbr>p?<wbr>x=1'
    """
    parts = urlsplit(url)
    return breakable((parts.path or "/") + (f"?{parts.query}" if parts.query else ""))


# ---- callbacks -----------------------------------------------------------------------------------


def event_words(callback: Mapping[str, Any]) -> tuple[str, str]:
    """Return the kind of event that a callback reports, and the new status.

    >>> event_words({"is_test": False, "parameters": {"SimSid": "HS01", "SimStatus": "inactive"}})
    ('SIM update', 'inactive')
    >>> event_words({"is_test": False, "parameters": {"Id": "1234567890" * 5}})
    ('Id', '123456789012345678901234567890123456789…')
    """
    if callback["is_test"]:
        return _WORDS[TEST_EVENT], ""
    if callback.get("stream_sid"):
        return _batch_words(callback["events"])
    parameters: Mapping[str, Any] = callback["parameters"]
    status = next((_beginning(parameters[each]) for each in _STATUSES if each in parameters), "")
    for mark, kinds in MARKS.items():
        kind = kinds.get(str(parameters.get(mark.sid, ""))[:2])
        if kind is not None and mark.parameter in parameters:
            failed = " failed" if "ErrorCode" in parameters else ""
            return f"{_words_of(kind, parameters)}{failed}", status
    kind = parameters.get("EventType")
    if kind in OF_DESTINATIONS:
        return "Destination", str(kind).partition(".")[2]
    first = next(iter(parameters.items()), None)
    return ("No parameters", "") if first is None else (_beginning(first[0]), _beginning(first[1]))


def _beginning(value: object) -> str:
    """Return a value as text; only its beginning if it is long."""
    text = str(value)
    return text if len(text) <= _EVENT_WIDTH else f"{text[: _EVENT_WIDTH - 1]}…"


def _batch_words(events: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """Return how many events a batch has, and their type or the number of their types."""
    types = {short_event_type(event["type"]): None for event in events}
    count = "Event" if len(events) == 1 else f"{len(events)} events"
    return count, next(iter(types)) if len(types) == 1 else f"of {len(types)} types"


def short_event_type(name: str) -> str:
    """Return the name of a type of events without what all types of connections have in common.

    >>> short_event_type("com.twilio.iot.supersim.connection.data-session.ended")
    'data-session.ended'
    """
    return name.partition(".connection.")[2] or name


def event_type_words(types: Sequence[Mapping[str, Any]]) -> list[tuple[int, list[str]]]:
    """Return the versions of the schema that types are sent in, the latest first, with the types.

    >>> event_type_words([{"type": "a.connection.b", "schema_version": 2}])
    [(2, ['b'])]
    """
    versions = sorted({one["schema_version"] for one in types}, reverse=True)
    return [
        (
            version,
            [short_event_type(one["type"]) for one in types if one["schema_version"] == version],
        )
        for version in versions
    ]


def _words_of(kind: str, parameters: Mapping[str, Any]) -> str:
    direction = parameters.get("Direction")
    if direction == "from_sim" or (kind == "command" and parameters.get("CommandSid") is None):
        return f"{_WORDS[kind]} from a SIM"
    return f"{_WORDS[kind]} to a SIM" if direction == "to_sim" else _WORDS[kind]


def event_label(kind: str) -> str:
    """Return the kind of an event in words, for a list of choices."""
    if kind in OF_DESTINATIONS:
        return kind
    product = " (Wireless)" if kind == "wireless" else ""
    return _WORDS.get(kind, kind) + product


def mark_of(source: str) -> tuple[str, str]:
    """Return the CSS class and the letter of a source's mark."""
    if source in set(Source):
        return source, source[0].upper()
    return "", source[:1].upper() or "·"


def answer_words(attempt: Mapping[str, Any] | None) -> str:
    """Return how an attempt ended, in a few words: `204`, `403 Forbidden`, `no connection`.

    >>> answer_words({"result": "delivered", "status_code": 204, "failure": None})
    '204'
    >>> answer_words({"result": "refused", "status_code": 301, "failure": None})
    '301 redirect'
    """
    if attempt is None:
        return ""
    status, failure = attempt["status_code"], attempt["failure"]
    if failure is not None:
        return _FAILURES.get(failure) or str(failure)
    if status is None:
        return "not known" if attempt["result"] == "unknown" else ""
    if 200 <= status < 300:
        return str(status)
    return f"{status} redirect" if 300 <= status < 400 else f"{status} {_PHRASES.get(status, '')}"
