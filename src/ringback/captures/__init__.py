"""Text that somebody has pasted -> the requests in it, as their receiver got them; no I/O."""

from ringback.captures.capture import Capture, Form, UnreadableCapture
from ringback.captures.choosing import choose
from ringback.captures.reading import read_captures

__all__ = ["Capture", "Form", "UnreadableCapture", "choose", "read_captures"]
