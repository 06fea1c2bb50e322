"""Settings Updates, which the network makes without any request; they cause no callbacks."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple


class OtaSettingsUpdateStatus(StrEnum):
    """The statuses of a Settings Update."""

    SCHEDULED = "scheduled"
    IN_PROGRESS = "in-progress"
    SUCCESSFUL = "successful"
    FAILED = "failed"


SETTINGS_MOVES: Final[Mapping[OtaSettingsUpdateStatus, frozenset[OtaSettingsUpdateStatus]]] = {
    OtaSettingsUpdateStatus.SCHEDULED: frozenset({OtaSettingsUpdateStatus.IN_PROGRESS}),
    OtaSettingsUpdateStatus.IN_PROGRESS: frozenset(
        {OtaSettingsUpdateStatus.SUCCESSFUL, OtaSettingsUpdateStatus.FAILED}
    ),
    OtaSettingsUpdateStatus.SUCCESSFUL: frozenset(),
    OtaSettingsUpdateStatus.FAILED: frozenset(),
}


class OtaSettingsPackage(NamedTuple):
    """The settings that a Settings Update writes to a card."""

    name: str
    version: str
    more_info: str


BASE_SETTINGS: Final = OtaSettingsPackage(
    "base-settings", "1.0.0", "https://twilio.com/docs/iot/supersim/settings-packages/base-settings"
)
"""The settings package of the published samples."""


@dataclass(frozen=True, slots=True)
class OtaSettingsUpdate:
    """A Settings Update: an update of the settings on a SIM card."""

    sid: str
    account_sid: str
    iccid: str
    sim_sid: str
    status: OtaSettingsUpdateStatus
    date_created: datetime
    date_updated: datetime
    date_completed: datetime | None = None

    @property
    def packages(self) -> tuple[OtaSettingsPackage, ...]:
        """The settings packages on the SIM card after a successful update."""
        return (BASE_SETTINGS,)

    def moved(self, status: OtaSettingsUpdateStatus, now: datetime) -> "OtaSettingsUpdate":
        """Return the update with another status.

        Raises ValueError if the life cycle does not allow this change.
        """
        if status not in SETTINGS_MOVES[self.status]:
            raise ValueError(f"a Settings Update that is {self.status} can't become {status}")
        completed = now if status is OtaSettingsUpdateStatus.SUCCESSFUL else None
        return replace(self, status=status, date_updated=now, date_completed=completed)
