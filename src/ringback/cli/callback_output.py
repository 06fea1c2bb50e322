"""How callbacks and attempts read in a terminal."""

from collections.abc import Iterator, Sequence
from typing import Final

import click

from ringback.portal_client import JsonObject

_COLORS: Final = {"delivered": "green", "failed": "red", "scheduled": "yellow"}
_UNITS: Final = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_STEPS: Final = {
    "look_up_ms": "look-up",
    "connect_ms": "connect",
    "tls_ms": "TLS",
    "first_byte_ms": "first byte",
}


def row(callback: JsonObject) -> str:
    """Return a callback on one line."""
    status = status_in_colour(callback, width=9)
    return (
        f"{callback['sid']}  {callback['date_created']}  {callback['source']:<6}  {status}"
        f"  {callback['attempt_count']} sent  {callback['method']:<4}  {callback['url']}"
    )


def status_in_colour(callback: JsonObject, *, width: int = 0) -> str:
    """Return a callback's status, padded to this width."""
    status = callback["status"]
    return click.style(f"{status:<{width}}", fg=_COLORS.get(status))


def warning_lines(callback: JsonObject, *, width: int = 7) -> Iterator[str]:
    """Yield a callback's warnings, each after a label of this width."""
    for warning in callback["warnings"]:
        yield click.style(f"  {'warning':<{width}}  {warning}", fg="yellow")


def details(callback: JsonObject) -> Iterator[str]:
    """Yield a callback line by line."""
    yield click.style(f"{callback['sid']}  {callback['status']}", bold=True)
    if callback["status_reason"]:
        yield f"  why         {callback['status_reason']}"
    yield f"  source      {callback['source']}: {callback['source_reason']}"
    yield f"  asked for   {callback['source_asked'] or 'nothing: the URL has no #cbs='}"
    yield f"  url         {callback['method']} {callback['url']}"
    yield f"  token       {callback['idempotency_token']}"
    if callback["idempotency_key"]:
        yield f"  key         {callback['idempotency_key']}"
    if callback["replay_of"]:
        yield f"  replay of   {callback['replay_of']}"
    yield f"  created     {callback['date_created']}"
    if callback["date_next_attempt"]:
        yield f"  next        {callback['date_next_attempt']}, round {callback['round'] + 1}"
    for name, values in callback["parameters"].items():
        for value in [values] if isinstance(values, str) else values:
            yield f"  parameter   {name}={value}"
    yield from warning_lines(callback, width=10)


def attempt_lines(attempt: JsonObject) -> Iterator[str]:
    """Yield an attempt line by line."""
    code = f" [{attempt['error_code']}]" if attempt["error_code"] else ""
    yield click.style(f"attempt {attempt['number']}  {attempt['date_started']}", bold=True)
    yield f"  {attempt['result']}{code}: {attempt['reason'] or 'under way'}{_took(attempt)}"
    if attempt["local_address"]:
        through = f" through {attempt['proxy']}" if attempt["proxy"] else ""
        yield f"  from {attempt['local_address']}{through}"
    if attempt["request"]:
        yield from _request_lines(attempt["request"])
    if attempt["response"]:
        yield from _response_lines(attempt["response"])


def _took(attempt: JsonObject) -> str:
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


def _request_lines(request: JsonObject) -> Iterator[str]:
    yield f"  > {request['method']} {request['url']}"
    yield from (f"  > {name}: {value}" for name, value in request["headers"])
    if request["body"]:
        yield f"  > {request['body']}"


def _response_lines(response: JsonObject) -> Iterator[str]:
    yield f"  < {response['status']}"
    yield from (f"  < {name}: {value}" for name, value in response["headers"])
    if response["headers_left_out"]:
        yield f"  < (headers no longer kept: {response['headers_left_out']})"
    yield from (f"  < {line}" for line in response["body"].splitlines()[:20])
    if response["body_left_out"]:
        yield f"  < (bytes of the body no longer kept: {response['body_left_out']:,})"
    if response["is_cut"]:
        yield "  < (cut off: there was more than was read, or was to come)"


def is_accepted(attempts: Sequence[JsonObject]) -> bool:
    """Whether the last of these attempts has delivered its callback."""
    return bool(attempts) and attempts[-1]["result"] == "delivered"


def storage_lines(storage: JsonObject) -> Iterator[str]:
    """Yield how much room long answers take, in all and for each account listed."""
    yield f"{_size(storage['bytes'])} kept of long answers; {_size(storage['budget'])} may be"
    for one in storage["accounts"]:
        yield f"  {one['account_sid']}  {_size(one['bytes'])}"


def _size(count: int) -> str:
    """Return a number of bytes in the unit that suits it.

    >>> _size(1024), _size(67108864)
    ('1.0 KiB', '64.0 MiB')
    """
    name = next((name for name in ("GiB", "MiB") if count >= _UNITS[name]), "KiB")
    return f"{count / _UNITS[name]:,.1f} {name}"
