"""Settings: flags, environment and a file, read once into one frozen record.

A flag beats the environment, the environment beats the file, the file beats the default. What can't
be used is refused with the name of the place that it came from; in the file, by its line too.
"""

import os
from collections.abc import Mapping
from typing import Final

from ringback.settings.load import load
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
    "SEAL_KEY",
    "SEAL_KEY_FILE",
    "SETTINGS",
    "Command",
    "Origin",
    "Reloading",
    "Setting",
    "Settings",
    "load",
    "policy_of",
    "settings_of",
]

ENVIRONMENT: Final[Mapping[str, str]] = os.environ
