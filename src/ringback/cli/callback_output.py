"""The output of callbacks and attempts in a terminal."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from ringback.cli.output import style
from ringback.core.counted import counted
from ringback.core.events.event_kinds import MARKS, OF_DESTINATIONS
from ringback.core.visible_text import visible

if TYPE_CHECKING:
    from ringback.portal_client import JsonObject

_COLORS: Final = {"delivered": "green", "failed": "red", "scheduled": "yellow"}
_EVENT_WIDTH: Final = 17
"""The width of the column with the event, if the events are not known yet."""
_STATUSES: Final = ("SimStatus", "CommandStatus", "Status")
_UNITS: Final = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_STEPS: Final = {
    "look_up_ms": "look-up",
    "connect_ms": "connect",
    "tls_ms": "TLS",
    "first_byte_ms": "first byte",
}


# ---- tables --------------------------------------------------------------------------------------


def table(callbacks: "Sequence[JsonObject]", *, with_reason: bool = False) -> Iterator[str]:
    """Yield a header, and a row for each callback; the URL is last, since it can be long.

    With `with_reason`, a line with the reason for the callback's status follows each row.
    """
    rows = CallbackTable(event_width=max((len(event_of(one)) for one in callbacks), default=0))
    yield rows.header()
    for callback in callbacks:
        yield from rows.lines(callback)
        if with_reason:
            yield f"  {visible(callback['status_reason'] or '')}"


class CallbackTable:
    """A table of callbacks whose rows are made one by one, with a line for each new day."""

    def __init__(self, *, event_width: int = _EVENT_WIDTH) -> None:
        self._event_width = max(event_width, len("EVENT"))
        self._day = ""

    def header(self) -> str:
        """Return the header row."""
        # Padded before the colours, which would count as characters.
        plain = _row(
            *("TIME", "SOURCE", f"{'EVENT':{self._event_width}}", f"{'STATUS':9}"),
            *("HTTP", "TRIES", "TOOK", f"{'SID':34}", "URL"),
        )
        return style(plain, bold=True)

    def lines(self, callback: "JsonObject") -> Iterator[str]:
        """Yield the row of a callback; before it, a line with the date if that has changed."""
        day, _, time = callback["date_created"].partition("T")
        if day != self._day:
            self._day = day
            yield style(f"{day} (UTC)", dim=True)
        last: JsonObject = callback["last_attempt"] or {}
        yield _row(
            time[:8],
            callback["source"],
            f"{event_of(callback):{self._event_width}}",
            status_in_colour(callback, width=9),
            str(last.get("status_code") or "-"),
            str(callback["attempt_count"]),
            _in_short(last.get("duration_ms")),
            f"{callback['sid']:34}",
            f"{'' if callback['method'] == 'POST' else 'GET '}{callback['url']}",
        )


def _row(*columns: str) -> str:
    time, source, event, status, http, tries, took, sid, url = columns
    numbers = f"{http:>4} {tries:>5} {took:>5}"
    return f"{time:8}  {source:6}  {event}  {status} {numbers}  {sid}  {url}"


def _in_short(milliseconds: float | None) -> str:
    """Return a duration in at most five characters.

    >>> [_in_short(milliseconds) for milliseconds in (0.3, 3.21, 1500, 15000, None)]
    ['<1ms', '3ms', '1.5s', '15s', '-']
    """
    if milliseconds is None:
        return "-"
    if milliseconds < 0.5:
        return "<1ms"
    if milliseconds < 999.5:
        return f"{milliseconds:.0f}ms"
    return f"{milliseconds / 1000:.{1 if milliseconds < 9950 else 0}f}s"


def event_of(callback: "JsonObject") -> str:
    """Return the name of the event that a callback reports, as in `ringback trigger`.

    For a callback with parameters of your own, this is the first parameter.

    >>> event_of({"is_test": False, "parameters": {"SimSid": "HS01", "SimStatus": "inactive"}})
    'sim.inactive'
    """
    if callback["is_test"]:
        return "test event"
    if callback.get("stream_sid"):
        return _events_in_words(callback["events"])
    parameters = callback["parameters"]
    for mark, kinds in MARKS.items():
        kind = kinds.get(str(parameters.get(mark.sid, ""))[:2])
        status = next((parameters[name] for name in _STATUSES if name in parameters), None)
        if kind is not None and status is not None:
            code = f" {parameters['ErrorCode']}" if "ErrorCode" in parameters else ""
            return visible(f"{kind}.{status}{code}")
    if parameters.get("EventType") in OF_DESTINATIONS:
        return str(parameters["EventType"])
    first = next((f"{name}={value}" for name, value in parameters.items()), "-")
    return visible(first if len(first) <= _EVENT_WIDTH else f"{first[: _EVENT_WIDTH - 1]}…")


def _events_in_words(events: "Sequence[JsonObject]") -> str:
    """Return the types of events, shortened, with the number of those of each type.

    >>> ended = {"type": "com.twilio.iot.supersim.connection.data-session.ended"}
    >>> _events_in_words([ended, ended]), _events_in_words([ended])
    ('data-session.ended (2)', 'data-session.ended')
    """
    counts = Counter(short_type(event["type"]) for event in events)
    return ", ".join(name if count == 1 else f"{name} ({count})" for name, count in counts.items())


def short_type(name: str) -> str:
    """Return the name of a type of events without what all types of connections have in common."""
    return visible(name.partition(".connection.")[2] or name)


def group_lines(found: "JsonObject", *, limit: int) -> Iterator[str]:
    """Yield a header and the groups of undelivered callbacks, at most `limit`, and their totals."""
    if not found["groups"]:
        yield "no failed callbacks"
        return
    yield style(f"{'COUNT':>5}  {'SOURCE':6}  {'NEWEST (UTC)':20}  {'KEY':32}  URL", bold=True)
    for group in found["groups"][:limit]:
        columns = f"{group['source']:6}  {group['last_created']}  {group['key']}  {group['url']}"
        yield f"{group['count']:>5}  {columns}"
        yield f"       {visible(group['reason'] or 'no attempt')}"
    groups = counted(found["group_count"], "group")
    newest = "" if found["is_exact"] else "; there may be older ones"
    yield f"{counted(found['count'], 'callback')} in {groups}{newest}"


# ---- one callback --------------------------------------------------------------------------------


def status_in_colour(callback: "JsonObject", *, width: int = 0) -> str:
    """Return a callback's status, coloured for the terminal and padded to this width."""
    status = callback["status"]
    return style(f"{status:<{width}}", fg=_COLORS.get(status))


def warning_lines(callback: "JsonObject", *, width: int = 7) -> Iterator[str]:
    """Yield a line for each warning of a callback, with a label of this width."""
    for warning in callback["warnings"]:
        yield style(f"  {'warning':<{width}}  {warning}", fg="yellow")


def details(callback: "JsonObject") -> Iterator[str]:
    """Yield the lines that describe a callback."""
    yield style(f"{callback['sid']}  {callback['status']}", bold=True)
    if callback["status_reason"]:
        yield f"  why         {callback['status_reason']}"
    yield f"  source      {callback['source']}: {callback['source_reason']}"
    if not callback["stream_sid"]:
        asked = callback["source_asked"] or "no source: the URL has no #cbs="
        yield f"  asked for   {asked}"
    yield f"  url         {callback['method']} {callback['url']}"
    yield f"  token       {callback['idempotency_token']}"
    if callback["idempotency_key"]:
        yield f"  key         {callback['idempotency_key']}"
    if callback["ordering_key"]:
        yield f"  order key   {callback['ordering_key']}"
    if callback["replay_of"]:
        yield f"  replay of   {callback['replay_of']}"
    yield f"  created     {callback['date_created']}"
    if callback["date_next_attempt"]:
        yield f"  next        {callback['date_next_attempt']}, round {callback['round'] + 1}"
    if callback["waits_because"]:
        yield f"  waits       {callback['waits_because']}"
    if callback["stream_sid"]:
        yield f"  stream      {callback['stream_sid']}"
    for event in callback["events"]:
        about = f"  {event['sim_sid']}" if event["sim_sid"] else ""
        shown = f"{event['time']}  {visible(event['id'])}  {short_type(event['type'])}"
        yield f"  event       {shown}{about}"
    for name, values in callback["parameters"].items():
        for value in [values] if isinstance(values, str) else values:
            yield f"  parameter   {name}={value}"
    yield from warning_lines(callback, width=10)


def explanation_lines(explanation: "JsonObject") -> Iterator[str]:
    """Yield the steps that led to a callback's source, without its URL, and mark the deciding one.

    Nothing is yielded if the steps are not known.
    """
    for step in explanation["steps"][1:]:
        decides = " (decides)" if step["decides"] else ""
        yield f"  {step['name'].replace('_', ' '):10}  {visible(step['text'])}{decides}"


def attempt_lines(attempt: "JsonObject") -> Iterator[str]:
    """Yield the lines that describe an attempt: its outcome, request and response."""
    code = f" [{attempt['error_code']}]" if attempt["error_code"] else ""
    yield style(f"attempt {attempt['number']}  {attempt['date_started']}", bold=True)
    yield f"  {attempt['result']}{code}: {attempt['reason'] or 'in progress'}{_took(attempt)}"
    if attempt["local_address"]:
        through = f" through {attempt['proxy']}" if attempt["proxy"] else ""
        yield f"  from {attempt['local_address']}{through}"
    if attempt["request"]:
        yield from _request_lines(attempt["request"])
    if attempt["response"]:
        yield from _response_lines(attempt["response"])


def _took(attempt: "JsonObject") -> str:
    timings = attempt["timings"]
    if timings is None:
        return ""
    steps = [
        f"{label} {timings[name]:.1f}"
        for name, label in _STEPS.items()
        if timings[name] is not None
    ]
    listed = f" ({', '.join(steps)})" if steps else ""
    return f", after {timings['total_ms']:.1f} ms{listed}"


def _request_lines(request: "JsonObject") -> Iterator[str]:
    yield f"  > {request['method']} {request['url']}"
    yield from (f"  > {name}: {value}" for name, value in request["headers"])
    if request["body"]:
        yield "  >"
        yield from (f"  > {line}" for line in request["body"].split("\n"))


def _response_lines(response: "JsonObject") -> Iterator[str]:
    yield f"  < {response['status']}"
    yield from (f"  < {name}: {value}" for name, value in response["headers"])
    if response["headers_left_out"]:
        yield f"  < (headers no longer stored: {response['headers_left_out']})"
    yield from (f"  < {line}" for line in response["body"].splitlines()[:20])
    if response["body_left_out"]:
        yield f"  < (bytes of the body no longer stored: {response['body_left_out']:,})"
    if response["is_cut"]:
        yield "  < (cut off: Ringback read only the beginning, or the connection broke)"


def is_accepted(attempts: "Sequence[JsonObject]") -> bool:
    """Return True if the receiver accepted the callback in the last attempt."""
    return bool(attempts) and attempts[-1]["result"] == "delivered"


def storage_lines(storage: "JsonObject") -> Iterator[str]:
    """Yield the lines about the storage of long responses, in total and by account."""
    yield f"{_size(storage['bytes'])} of long responses are stored; the limit is" + (
        f" {_size(storage['budget'])}"
    )
    for one in storage["accounts"]:
        yield f"  {one['account_sid']}  {_size(one['bytes'])}"


def _size(count: int) -> str:
    """Return a number of bytes with a suitable unit.

    >>> _size(1024), _size(67108864)
    ('1.0 KiB', '64.0 MiB')
    """
    name = next((name for name in ("GiB", "MiB") if count >= _UNITS[name]), "KiB")
    return f"{count / _UNITS[name]:,.1f} {name}"
