"""`clock.json`: how far ahead the clock of `ringback dev` is, kept for the next start."""

import json
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from ringback.core.errors import ConfigurationError
from ringback.dev_environment.dev_file import write_private
from ringback.runtime.os_error_messages import refusing
from ringback.runtime.virtual_clock import MOST_AHEAD


@dataclass(frozen=True, slots=True)
class ClockFile:
    """The file in one data folder."""

    folder: Path

    @property
    def path(self) -> Path:
        """Where it is."""
        return self.folder / "clock.json"

    def read(self) -> timedelta:
        """Return how far ahead the clock is; without a file it is the machine's.

        Raises ConfigurationError where the file is there and doesn't say.
        """
        try:
            ahead = timedelta(seconds=json.loads(self.path.read_text("utf-8"))["ahead_seconds"])
            if not timedelta(0) <= ahead <= MOST_AHEAD:
                raise ValueError("no time that a clock can be ahead")
        except FileNotFoundError:
            return timedelta(0)
        except OSError as failure:
            raise ConfigurationError(f"{self.path} can't be read: {failure.strerror}") from failure
        except (TypeError, KeyError, ValueError, OverflowError):
            raise ConfigurationError(
                f"{self.path} does not say how far ahead the clock is; it is like"
                ' {"ahead_seconds": 3600}. Mend it, or delete it to go back to the machine\'s time'
            ) from None
        return ahead

    def write(self, ahead: timedelta) -> None:
        """Note how far ahead the clock is.

        Raises ConfigurationError where that can't be written.
        """
        with refusing(f"{self.path} can't be written"):
            write_private(self.path, f"{json.dumps({'ahead_seconds': ahead.total_seconds()})}\n")
