"""Settings: flags, environment and a file, read once into one frozen record.

A flag beats the environment, the environment beats the file, the file beats the default. What can't
be used is refused with the name of the place that it came from; in the file, by its line too.

May import `http_client`, `runtime` and `core`.
Start with `table`, from which flags, variables, keys and help are made.
"""

import os
from collections.abc import Mapping
from typing import Final

from ringback.settings.file import SettingsFile
from ringback.settings.load import FILE_VARIABLE, load, load_policy
from ringback.settings.policy_editor import held, move_phase, put_hold, release
from ringback.settings.setting_definitions import (
    DATA,
    SEAL_KEY,
    SEAL_KEY_FILE,
    SETTINGS,
    ServerCommand,
    Setting,
    settings_of,
)
from ringback.settings.settings import Settings
from ringback.settings.settings_loader import SettingsLoader

__all__ = [
    "DATA",
    "ENVIRONMENT",
    "FILE_VARIABLE",
    "SEAL_KEY",
    "SEAL_KEY_FILE",
    "SETTINGS",
    "ServerCommand",
    "Setting",
    "Settings",
    "SettingsFile",
    "SettingsLoader",
    "held",
    "load",
    "load_policy",
    "move_phase",
    "put_hold",
    "release",
    "settings_of",
]

ENVIRONMENT: Final[Mapping[str, str]] = os.environ
