from datetime import timedelta
from itertools import product

import pytest

from ringback.core.supersim.settings_update import SETTINGS_MOVES, OtaSettingsUpdateStatus
from tests.fakes import NOW
from tests.unit.core.builders import a_settings_update

SCHEDULED, IN_PROGRESS, SUCCESSFUL, FAILED = OtaSettingsUpdateStatus
LATER = NOW + timedelta(seconds=2)
MOVES = {(SCHEDULED, IN_PROGRESS), (IN_PROGRESS, SUCCESSFUL), (IN_PROGRESS, FAILED)}


def test_the_statuses_are_those_of_the_api_and_one_has_a_hyphen() -> None:
    assert list(OtaSettingsUpdateStatus) == ["scheduled", "in-progress", "successful", "failed"]


def test_the_moves_are_those_of_the_documentation() -> None:
    assert set(SETTINGS_MOVES) == set(OtaSettingsUpdateStatus)
    assert {(old, new) for old, targets in SETTINGS_MOVES.items() for new in targets} == MOVES


@pytest.mark.parametrize(("old", "new"), sorted(MOVES))
def test_an_update_moves_and_is_completed_only_by_success(
    old: OtaSettingsUpdateStatus, new: OtaSettingsUpdateStatus
) -> None:
    completed = LATER if new is SUCCESSFUL else None
    assert a_settings_update(status=old).moved(new, LATER) == a_settings_update(
        status=new, date_updated=LATER, date_completed=completed
    )


@pytest.mark.parametrize(
    ("old", "new"), sorted(set(product(OtaSettingsUpdateStatus, OtaSettingsUpdateStatus)) - MOVES)
)
def test_an_update_has_no_other_moves(
    old: OtaSettingsUpdateStatus, new: OtaSettingsUpdateStatus
) -> None:
    with pytest.raises(ValueError, match=f"a Settings Update that is {old} can't become {new}"):
        a_settings_update(status=old).moved(new, LATER)


def test_an_update_has_the_package_of_the_published_samples() -> None:
    assert [package._asdict() for package in a_settings_update().packages] == [
        {
            "name": "base-settings",
            "version": "1.0.0",
            "more_info": "https://twilio.com/docs/iot/supersim/settings-packages/base-settings",
        }
    ]
