"""Reads a server's settings again, from the flags and variables that it was started with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Final

from ringback.core.errors import ConfigurationError
from ringback.core.policy.policy_version import PolicyPart
from ringback.settings.load import FILE_VARIABLE, load
from ringback.settings.setting_definitions import ServerCommand
from ringback.settings.settings import Settings

# All other settings are read once, at the start.
_TAKES_EFFECT: Final = frozenset({"policy", "policy_origin"})


@dataclass(frozen=True, slots=True)
class SettingsReloader:
    """Reads a server's settings again, with the same flags and variables as at its start."""

    flags: Mapping[str, str | None] = field(repr=False)
    environment: Mapping[str, str] = field(repr=False)
    command: ServerCommand

    @property
    def path(self) -> str | None:
        """The path of the settings file; None if there is none."""
        return self.flags.get("settings") or self.environment.get(FILE_VARIABLE) or None

    def load(self) -> Settings:
        """Return the settings, with the current content of the settings file.

        Raises ConfigurationError, naming the place, if a setting is unknown or its value invalid.
        """
        return load(self.flags, self.environment, command=self.command)

    def reload_policy(self, running: Settings) -> tuple[PolicyPart, Sequence[str]]:
        """Return the file's policy, and the names of other settings that differ from `running`.

        The other settings take effect only after a restart. Raises ConfigurationError if the
        settings are invalid, or if the file adds sources, which need a restart too.
        """
        settings = self.load()
        if new := [name for name in settings.policy.sources if name not in running.sources]:
            names = ", ".join(new)
            raise ConfigurationError(
                f"{self.path}: the policy has new sources, which need a restart: {names}"
            )
        return settings.policy_part, [
            one.name
            for one in fields(Settings)
            if one.name not in _TAKES_EFFECT
            and getattr(settings, one.name) != getattr(running, one.name)
        ]
