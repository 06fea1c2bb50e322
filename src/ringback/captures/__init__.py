"""Parses pasted text (curl, HAR, raw HTTP, `ringback listen --json`) into requests; no I/O.

May import `receiver` and `core`.
Start with `detect_format`.
"""

from ringback.captures.captured_request import CapturedRequest, CaptureFormat, UnreadableCapture
from ringback.captures.detect_format import read_captures
from ringback.captures.select_request import choose

__all__ = ["CaptureFormat", "CapturedRequest", "UnreadableCapture", "choose", "read_captures"]
