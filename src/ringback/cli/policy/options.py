"""Options of all commands about the policy: its file, and dates."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from ringback.cli.base_command import option
from ringback.cli.options import read_by
from ringback.core.policy.source_policy import Policy
from ringback.settings import ENVIRONMENT
from ringback.settings.file import SettingsFile
from ringback.settings.load import FILE_VARIABLE, load_policy
from ringback.settings.parsers import read_instant

policy_file_option: Final = option(
    "--settings",
    metavar="FILE",
    help=f"The settings file that has the policy; else {FILE_VARIABLE} names it.",
)


def file_named(settings: str | None) -> SettingsFile | None:
    """Return the settings file as it is now, or None where none is named.

    Raises ConfigurationError where it can't be read.
    """
    path = settings or ENVIRONMENT.get(FILE_VARIABLE)
    return SettingsFile.read(path) if path else None


def policy_of_file(settings: str | None) -> tuple[Policy, Sequence[timedelta]]:
    """Return the policy of the settings file, and how long before a change it warns.

    Raises ConfigurationError, naming the line, for what can't be used.
    """
    return load_policy(file_named(settings) or SettingsFile(), ENVIRONMENT)


instant: Final = read_by(read_instant)
"""Reads a date from the command line."""
