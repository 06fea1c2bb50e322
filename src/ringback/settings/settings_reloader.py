"""Where the settings of a server came from, so that they can be read again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Final

from ringback.core.errors import ConfigurationError
from ringback.core.policy.source_policy import Policy
from ringback.settings.load import FILE_VARIABLE, load
from ringback.settings.setting_definitions import ServerCommand
from ringback.settings.settings import Settings

# All other settings are read once, by parts that keep them for as long as they run.
_TAKES_EFFECT: Final = frozenset({"policy", "phase"})


@dataclass(frozen=True, slots=True)
class SettingsReloader:
    """The flags and variables that a command was started with."""

    flags: Mapping[str, str | None] = field(repr=False)
    environment: Mapping[str, str] = field(repr=False)
    command: ServerCommand

    @property
    def path(self) -> str | None:
        """The settings file; None where there is none."""
        return self.flags.get("settings") or self.environment.get(FILE_VARIABLE) or None

    def load(self) -> Settings:
        """Return the settings, with the file as it is now.

        Raises ConfigurationError, naming the place, for what can't be used.
        """
        return load(self.flags, self.environment, command=self.command)

    def reload_policy(self, running: Settings) -> tuple[Policy, Sequence[str]]:
        """Return the policy as it is now, and the names of other settings that changed.

        Those need a restart. Raises ConfigurationError for what can't be used, and for a policy
        over sources that only a restart would let the running server send from.
        """
        settings = self.load()
        if new := [name for name in settings.policy.sources if name not in running.sources]:
            names = ", ".join(new)
            raise ConfigurationError(
                f"{self.path}: the policy has sources that need a restart: {names}"
            )
        return settings.effective_policy, [
            one.name
            for one in fields(Settings)
            if one.name not in _TAKES_EFFECT
            and getattr(settings, one.name) != getattr(running, one.name)
        ]
