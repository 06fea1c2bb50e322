"""Where the settings of a server came from, so that they can be read once more."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ringback.settings.load import FILE_VARIABLE, load
from ringback.settings.record import Settings
from ringback.settings.table import Command


@dataclass(frozen=True, slots=True)
class Origin:
    """The flags and variables that a command was started with."""

    flags: Mapping[str, str | None] = field(repr=False)
    environment: Mapping[str, str] = field(repr=False)
    command: Command

    @property
    def path(self) -> str | None:
        """The settings file; None where there is none."""
        return self.flags.get("settings") or self.environment.get(FILE_VARIABLE) or None

    def load(self) -> Settings:
        """Return what they add up to, with what the file has now.

        Raises Unusable, naming the place, for what can't be used.
        """
        return load(self.flags, self.environment, command=self.command)
