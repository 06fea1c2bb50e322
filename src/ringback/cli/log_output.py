"""The log on stderr: lines of JSON for programs or of text for people, without secrets.

Ringback's own messages contain no secrets, but messages of libraries and answers of receivers can.
So this module removes everything that looks like a secret.
"""

import json
import logging
import re
import sys
import time
from types import TracebackType
from typing import Any, Final

from pythonjsonlogger.core import RESERVED_ATTRS, BaseJsonFormatter

from ringback.core.visible_text import visible, visible_json

_SECRETS: Final = (
    # credentials in a URL
    (re.compile(r"(?<=://)[^\s/\"']*@"), "***@"),
    # a password in a connection string
    (re.compile(r"(password\s*=\s*)('(?:[^'\\]|\\.)*'?|[^\s'\"]+)", re.IGNORECASE), r"\1***"),
    # the query of a URL, which can have a token of the receiver
    (re.compile(r"(?<=://)([^\s\"'?#]*)[?#][^\s\"']*"), r"\1?***"),
    (re.compile(r"\b(Basic|Bearer)\s+[A-Za-z0-9+/=._~-]+", re.IGNORECASE), r"\1 ***"),
    # Auth Tokens, secrets of API keys and webhook secrets; a SID begins with two more letters
    (re.compile(r"(?<![0-9A-Za-z])([0-9a-f]{32}|[0-9a-f]{18})(?![0-9A-Za-z])"), "***"),
)

_log = logging.getLogger(__name__)


def log_to_stderr(form: str, level: str) -> None:
    """Write log messages of this level or higher to stderr.

    They are written as text if `form` is `text`, and otherwise as JSON; so are uncaught exceptions.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(TextLogFormatter() if form == "text" else JsonLogFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    sys.excepthook = _log_uncaught


class JsonLogFormatter(BaseJsonFormatter):
    """Formats a message as one JSON object: time, level, logger, message, then other fields."""

    def __init__(self) -> None:
        super().__init__(["message"])

    def add_fields(
        self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]
    ) -> None:
        """Add time, level and logger to a log entry, before its other fields."""
        log_data["time"] = _time_of(record)
        log_data["level"] = record.levelname.lower()
        log_data["logger"] = record.name
        super().add_fields(log_data, record, message_dict)

    def jsonify_log_record(self, log_data: dict[str, Any]) -> str:
        """Return the log entry as JSON, without secrets."""
        shown = {name: without_secrets(value) for name, value in log_data.items()}
        return visible_json(json.dumps(shown, default=str))


class TextLogFormatter(logging.Formatter):
    """Formats a message as text: time, level, logger, message, then other fields as name=value."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    # The names of the next two methods are the standard library's.

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802 (see above)
        """Return the time of a message in UTC, in the same format as in JSON."""
        return _time_of(record)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (see above)
        """Return the message, followed by its other fields, on one line."""
        fields = {k: v for k, v in vars(record).items() if k not in RESERVED_ATTRS}
        parts = [super().formatMessage(record), *(f"{k}={v}" for k, v in fields.items())]
        # Escapes come last: a letter of one before a secret would hide it from `without_secrets`.
        return visible(without_secrets(" ".join(parts)))

    def format(self, record: logging.LogRecord) -> str:
        """Return the whole line, and the lines of an exception, without secrets."""
        return visible(without_secrets(super().format(record)), keep="\n")


def without_secrets(value: Any) -> Any:
    """Return a value; if it is a text, replace everything in it that looks like a secret.

    >>> without_secrets("http://user:password@a.example/hook?token=1 answered 302")
    'http://***@a.example/hook?*** answered 302'
    """
    if isinstance(value, str):
        for pattern, instead in _SECRETS:
            value = pattern.sub(instead, value)
    return value


def _time_of(record: logging.LogRecord) -> str:
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    return f"{seconds}.{int(record.msecs):03}Z"


def _log_uncaught(
    kind: type[BaseException], failure: BaseException, trace: TracebackType | None
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, failure, trace)
    else:
        _log.critical("Ringback itself failed", exc_info=(kind, failure, trace))
