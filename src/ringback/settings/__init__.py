"""Settings: flags, environment and a file, read once into one frozen record.

A flag beats the environment, the environment beats the file, the file beats the default. What can't
be used is refused with the name of the place that it came from; in the file, by its line too.
"""

import os
from collections.abc import Mapping
from typing import Final

from ringback.settings.editing import held, move_phase, put_hold, release
from ringback.settings.file import SettingsFile
from ringback.settings.load import FILE_VARIABLE, load, load_policy
from ringback.settings.origin import Origin
from ringback.settings.record import Settings
from ringback.settings.reloading import Reloading, policy_of
from ringback.settings.table import (
    DATA,
    SEAL_KEY,
    SEAL_KEY_FILE,
    SETTINGS,
    Command,
    Setting,
    settings_of,
)

__all__ = [
    "DATA",
    "ENVIRONMENT",
    "FILE_VARIABLE",
    "SEAL_KEY",
    "SEAL_KEY_FILE",
    "SETTINGS",
    "Command",
    "Origin",
    "Reloading",
    "Setting",
    "Settings",
    "SettingsFile",
    "held",
    "load",
    "load_policy",
    "move_phase",
    "policy_of",
    "put_hold",
    "release",
    "settings_of",
]

ENVIRONMENT: Final[Mapping[str, str]] = os.environ
