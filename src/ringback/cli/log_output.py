"""Log lines on stderr: JSON for machines, text for people, and no secret in either.

Our own messages contain no secrets. They are taken out here once more, because messages of
libraries and answers of receivers may contain some.
"""

import json
import logging
import re
import sys
import time
from types import TracebackType
from typing import Any, Final

from pythonjsonlogger.core import RESERVED_ATTRS, BaseJsonFormatter

_SECRETS: Final = (
    # credentials in a URL
    (re.compile(r"(?<=://)[^\s/\"']*@"), "***@"),
    # what a URL tells its host alone; receivers like to keep a token there
    (re.compile(r"(?<=://)([^\s\"'?#]*)[?#][^\s\"']*"), r"\1?***"),
    (re.compile(r"\b(Basic|Bearer)\s+[A-Za-z0-9+/=._~-]+", re.IGNORECASE), r"\1 ***"),
    # our own Auth Tokens and key secrets, and KORE's webhook secrets; SIDs have two letters more
    (re.compile(r"(?<![0-9A-Za-z])([0-9a-f]{32}|[0-9a-f]{18})(?![0-9A-Za-z])"), "***"),
)

_log = logging.getLogger(__name__)


def log_to_stderr(form: str, level: str) -> None:
    """Write the log to stderr from this level on, as `text` or else as JSON.

    Uncaught exceptions go there as well, so that they too have the form that machines read.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(TextLogFormatter() if form == "text" else JsonLogFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    sys.excepthook = _log_uncaught


class JsonLogFormatter(BaseJsonFormatter):
    """One JSON object for each line: time, level, logger and message, then what else is known."""

    def __init__(self) -> None:
        super().__init__(["message"])

    def add_fields(
        self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]
    ) -> None:
        """Put the fields that every line has in front."""
        log_data["time"] = _time_of(record)
        log_data["level"] = record.levelname.lower()
        log_data["logger"] = record.name
        super().add_fields(log_data, record, message_dict)

    def jsonify_log_record(self, log_data: dict[str, Any]) -> str:
        """Take the secrets out, and write the line."""
        shown = {name: without_secrets(value) for name, value in log_data.items()}
        return json.dumps(shown, default=str)


class TextLogFormatter(logging.Formatter):
    """Time, level, logger, message, and what else is known as `name=value`."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    # The names of these two are the standard library's.

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802
        """Return the time as the JSON lines have it."""
        return _time_of(record)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        """Return the line, with its fields after it."""
        fields = {k: v for k, v in vars(record).items() if k not in RESERVED_ATTRS}
        return " ".join([super().formatMessage(record), *(f"{k}={v}" for k, v in fields.items())])

    def format(self, record: logging.LogRecord) -> str:
        """Take the secrets out."""
        return without_secrets(super().format(record))


def without_secrets(value: Any) -> Any:
    """Return a value without what looks like a secret in its text.

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
