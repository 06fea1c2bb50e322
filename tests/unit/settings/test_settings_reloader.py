"""Reading settings again: which file is read, and which changes need a restart."""

import pytest

from ringback.settings.setting_definitions import ServerCommand
from ringback.settings.settings_reloader import SettingsReloader


@pytest.mark.parametrize(
    ("flags", "environment", "path"),
    [
        ({"settings": "a.toml"}, {"RINGBACK_SETTINGS": "b.toml"}, "a.toml"),
        ({"settings": None}, {"RINGBACK_SETTINGS": "b.toml"}, "b.toml"),
        ({"settings": None}, {"RINGBACK_SETTINGS": ""}, None),
        ({}, {}, None),
    ],
)
def test_the_file_is_the_named_one(
    flags: dict[str, str | None], environment: dict[str, str], path: str | None
) -> None:
    assert SettingsReloader(flags, environment, ServerCommand.SERVE).path == path
