"""Text that somebody has pasted -> the requests in it, as their receiver got them; no I/O."""

from ringback.captures.captured_request import CapturedRequest, CaptureFormat, UnreadableCapture
from ringback.captures.detect_format import read_captures
from ringback.captures.select_request import choose

__all__ = ["CaptureFormat", "CapturedRequest", "UnreadableCapture", "choose", "read_captures"]
