"""`clock.json`: stores how far the clock of `ringback dev` was advanced, for the next start."""

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
    """The `clock.json` of one data folder."""

    folder: Path

    @property
    def path(self) -> Path:
        """The path of the file."""
        return self.folder / "clock.json"

    def read(self) -> timedelta:
        """Return how far the clock is ahead of the machine's time; zero if there is no file.

        Raises ConfigurationError if the file can't be read, or its content is invalid.
        """
        try:
            ahead = timedelta(seconds=json.loads(self.path.read_text("utf-8"))["ahead_seconds"])
            if not timedelta(0) <= ahead <= MOST_AHEAD:
                raise ValueError("ahead_seconds is out of range")
        except FileNotFoundError:
            return timedelta(0)
        except OSError as failure:
            raise ConfigurationError(f"{self.path} can't be read: {failure.strerror}") from failure
        except (TypeError, KeyError, ValueError, OverflowError):
            raise ConfigurationError(
                f"{self.path} does not say how far ahead the clock is; it is like"
                ' {"ahead_seconds": 3600}. Fix it, or delete it to go back to the machine\'s time'
            ) from None
        return ahead

    def write(self, ahead: timedelta) -> None:
        """Store how far the clock is ahead of the machine's time.

        Raises ConfigurationError if the file can't be written.
        """
        with refusing(f"{self.path} can't be written"):
            write_private(self.path, f"{json.dumps({'ahead_seconds': ahead.total_seconds()})}\n")
