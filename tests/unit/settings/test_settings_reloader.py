"""Reading settings again: which file is read, and which changes need a restart."""

import pytest

from ringback.core.policy.source_policy import NOTICE
from ringback.settings.setting_definitions import ServerCommand
from ringback.settings.settings_reloader import SettingsReloader


def test_a_policy_of_settings_is_fixed_to_their_phase() -> None:
    held = SettingsReloader({"phase": "after"}, {}, ServerCommand.DEV).load()
    by_date = SettingsReloader({"at": "2024-10-20"}, {}, ServerCommand.DEV).load()
    assert held.effective_policy == NOTICE.held_in("after")
    assert by_date.effective_policy == NOTICE


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
