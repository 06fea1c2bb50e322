"""Chooses the captured request to check: by its number, or the only signed one."""

from collections.abc import Iterator, Sequence
from typing import Final

from ringback.captures.captured_request import CapturedRequest, CaptureFormat, UnreadableCapture

_MOST_LISTED: Final = 40
_LONGEST_TARGET: Final = 60


def choose(captures: Sequence[CapturedRequest], entry: int | None) -> CapturedRequest:
    """Return capture number `entry` (from 1), or the only signed one if `entry` is None.

    A single capture is returned even if it has no signature. If all captures are attempts of one
    callback, the last one is returned. Raises UnreadableCapture, with a list of the captures, if
    none or several are possible.
    """
    if entry is not None:
        if not 1 <= entry <= len(captures):
            raise _unclear(captures, f"there is no entry {entry}")
        return captures[entry - 1]
    if all(capture.form is CaptureFormat.SHOW for capture in captures):
        return captures[-1]
    signed = [capture for capture in captures if capture.has_signature]
    match signed or captures:
        case [capture]:
            return capture
        case [*found] if signed:
            raise _unclear(captures, f"{len(found)} requests have a signature")
        case _:
            raise _unclear(captures, "no request has a signature")


def _unclear(captures: Sequence[CapturedRequest], why: str) -> UnreadableCapture:
    return UnreadableCapture("\n".join([f"{why}; pick one with --entry:", *_listed(captures)]))


def _listed(captures: Sequence[CapturedRequest]) -> Iterator[str]:
    for number, capture in enumerate(captures[:_MOST_LISTED], start=1):
        request = capture.request
        target = capture.url or request.target
        shown = target if len(target) <= _LONGEST_TARGET else f"{target[:_LONGEST_TARGET]}…"
        line = f"{request.method} {shown}{'  (signed)' if capture.has_signature else ''}"
        yield f"  {number}  {line if line.isprintable() else ascii(line)}"
    if len(captures) > _MOST_LISTED:
        yield f"  … and {len(captures) - _MOST_LISTED} more"
