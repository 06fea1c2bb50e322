"""The steps of the simulated mobile network, and the scenarios in which some of them fail.

The error codes are from the documentation of both products. The exception is 20500, our choice for
failures of Super SIM that have no documented code.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Final, assert_never

from ringback.core.similar_names import suggestion


class TaskKind(StrEnum):
    """The kinds of scheduled steps, such as sending an SMS; a resource has at most one of each."""

    UPDATE_SIM = "update_sim"
    ACTIVATE_SIM = "activate_sim"
    """A SIM that is `ready` becomes `active` by itself."""
    RENEW_PERIOD = "renew_period"
    """A Billing Period ends, and the next one begins."""
    SEND_SMS = "send_sms"
    CONFIRM_SMS = "confirm_sms"
    SEND_IP = "send_ip"
    RESERVE_PROFILE = "reserve_profile"
    OFFER_PROFILE = "offer_profile"
    DOWNLOAD_PROFILE = "download_profile"
    INSTALL_PROFILE = "install_profile"
    BEGIN_SETTINGS = "begin_settings"
    END_SETTINGS = "end_settings"
    REPORT_USAGE = "report_usage"
    """Event streams get the usage of a SIM's data session since their last event about it."""
    FOLLOW_SESSIONS = "follow_sessions"
    """Event streams begin to get the usage of data sessions that run already."""

    # The steps of Programmable Wireless.
    TAKE_ON_CHANGE = "take_on_change"
    """The mobile operator accepts changes again, and begins a change that was scheduled."""
    CHANGE_SIM = "change_sim"
    FINALIZE_SIM = "finalize_sim"
    """A SIM's status changes by itself, from `ready` to `active` or `deactivated` to `canceled`."""
    RESET_SIM = "reset_sim"
    METER_SIM = "meter_sim"
    """A SIM's Data Session is replaced when a month begins or its plan's data limit is reached."""
    SEND_COMMAND = "send_command"
    CONFIRM_COMMAND = "confirm_command"
    FORGET_COMMAND = "forget_command"


@dataclass(frozen=True, slots=True)
class CarrierSucceeded:
    """The mobile network has carried out the step, such as sending an SMS."""


@dataclass(frozen=True, slots=True)
class CarrierFailure:
    """The mobile network could not carry out the step; `code` and `message` say why."""

    code: int
    message: str


@dataclass(frozen=True, slots=True)
class CarrierTimeout:
    """The mobile network never answers the request to carry out the step."""


CarrierResult = CarrierSucceeded | CarrierFailure | CarrierTimeout

CARRIED_OUT: Final = CarrierSucceeded()


def failure_in(result: CarrierResult, *, unanswered: int) -> CarrierFailure | None:
    """Return a result's failure or None; a missing answer is a failure with code `unanswered`.

    >>> failure_in(CarrierTimeout(), unanswered=83400)
    CarrierFailure(code=83400, message='the network did not answer')
    """
    match result:
        case CarrierSucceeded():
            return None
        case CarrierFailure():
            return result
        case CarrierTimeout():
            return CarrierFailure(unanswered, "the network did not answer")
        case _:
            assert_never(result)


@dataclass(frozen=True, slots=True)
class NetworkScenario:
    """The behaviour of the simulated network: the steps that fail, and the time that steps take."""

    name: str
    meaning: str
    results: Mapping[TaskKind, CarrierResult] = field(default_factory=dict[TaskKind, CarrierResult])
    slowness: int = 1
    """How many times longer than usual each step takes (1: as usual)."""
    waits: Mapping[TaskKind, timedelta] = field(default_factory=dict[TaskKind, timedelta])
    """The times that some steps have to wait before the network begins them."""
    attachment: CarrierResult = CARRIED_OUT
    """How a Super SIM's attempts to attach end; without an answer, its device is not attached."""
    data_session: CarrierResult = CARRIED_OUT
    """How an attached Super SIM's attempts to begin a data session end."""

    def result_of(self, step: TaskKind) -> CarrierResult:
        """Return how this step ends in the scenario: with success, failure, or no answer."""
        return self.results.get(step, CARRIED_OUT)

    def wait_before(self, step: TaskKind) -> timedelta:
        """Return how long this step has to wait before the network begins it."""
        return self.waits.get(step, timedelta(0))


NORMAL: Final = NetworkScenario("normal", "everything works")

_ALL: Final = (
    NORMAL,
    NetworkScenario(
        "update-fails",
        "changes of a SIM fail (83004; 33000), and it returns to its old state",
        {
            TaskKind.UPDATE_SIM: CarrierFailure(83004, "the SIM could not be updated"),
            TaskKind.CHANGE_SIM: CarrierFailure(33000, "the SIM could not be updated"),
        },
    ),
    NetworkScenario(
        "unattached",
        "the device is not attached: IP Commands fail with 83401, SMS and Commands stay sent, and a"
        " Super SIM begins no data session",
        {
            TaskKind.SEND_IP: CarrierFailure(83401, "the device is not attached to a network"),
            TaskKind.CONFIRM_SMS: CarrierTimeout(),
            TaskKind.CONFIRM_COMMAND: CarrierTimeout(),
        },
        attachment=CarrierTimeout(),
    ),
    NetworkScenario(
        "attach-fails",
        "attachments of a Super SIM fail because of an internal error (83700)",
        attachment=CarrierFailure(83700, "Attachment Failed Due To Internal Error"),
    ),
    NetworkScenario(
        "session-fails",
        "a Super SIM attaches, but no data session can be established (83701)",
        data_session=CarrierFailure(
            83701, "Data Session Establishment Failed Due To Internal Error"
        ),
    ),
    NetworkScenario(
        "network-not-allowed",
        "attachments of a Super SIM are rejected: the network is not allowed (83702)",
        attachment=CarrierFailure(83702, "Attachment Rejected Due To Network Not Allowed"),
    ),
    NetworkScenario(
        "attach-limited",
        "attachments of a Super SIM are rejected: its device has tried too often (83703)",
        attachment=CarrierFailure(83703, "Attachment Rejected Due To Rate Limiting"),
    ),
    NetworkScenario(
        "ip-fails",
        "IP Commands fail with 83400",
        {TaskKind.SEND_IP: CarrierFailure(83400, "the IP Command could not be sent")},
    ),
    NetworkScenario(
        "sms-unconfirmed",
        "SMS and Commands are sent, but no delivery is ever confirmed",
        {TaskKind.CONFIRM_SMS: CarrierTimeout(), TaskKind.CONFIRM_COMMAND: CarrierTimeout()},
    ),
    NetworkScenario(
        "sms-fails",
        "SMS fail, and Commands fail with 33000",
        {
            TaskKind.SEND_SMS: CarrierFailure(20500, "the SMS could not be sent"),
            TaskKind.SEND_COMMAND: CarrierFailure(33000, "the Command could not be sent"),
        },
    ),
    NetworkScenario(
        "no-stock",
        "eSIM orders fail with 83500",
        {TaskKind.OFFER_PROFILE: CarrierFailure(83500, "no eSIM Profiles are available")},
    ),
    NetworkScenario(
        "download-fails",
        "eSIM Profiles fail when they are downloaded",
        {TaskKind.DOWNLOAD_PROFILE: CarrierFailure(20500, "the profile could not be downloaded")},
    ),
    NetworkScenario(
        "settings-fail",
        "Settings Updates fail",
        {TaskKind.END_SETTINGS: CarrierFailure(20500, "the settings could not be written")},
    ),
    NetworkScenario(
        "operator-busy",
        "changes of a Programmable Wireless SIM stay scheduled for an hour before they begin",
        waits={TaskKind.TAKE_ON_CHANGE: timedelta(hours=1)},
    ),
    NetworkScenario(
        "reset-fails",
        "connectivity resets fail with 33000",
        {TaskKind.RESET_SIM: CarrierFailure(33000, "the connectivity could not be reset")},
    ),
    NetworkScenario(
        "asleep",
        "the device sleeps: Commands to it stay queued for a day",
        waits={TaskKind.SEND_COMMAND: timedelta(days=1)},
    ),
    NetworkScenario("slow", "everything takes twenty times as long", slowness=20),
)

SCENARIOS: Final[Mapping[str, NetworkScenario]] = {scenario.name: scenario for scenario in _ALL}


def scenario_called(name: str) -> NetworkScenario:
    """Return the scenario with this name; raises ValueError if there is none."""
    scenario = SCENARIOS.get(name)
    if scenario is None:
        guess, known = suggestion(name, SCENARIOS), ", ".join(SCENARIOS)
        raise ValueError(
            f"there is no scenario {name!r}{guess} The scenarios are {known}"
            if guess
            else f"there is no scenario {name!r}; the scenarios are {known}"
        )
    return scenario


def scenario_in(unique_name: str | None) -> NetworkScenario | None:
    """Return the scenario named after the last `+` of a SIM's unique name, or None.

    >>> scenario_in("meter 7+update-fails").name
    'update-fails'
    >>> scenario_in("meter 7") is scenario_in("a+b") is None
    True
    """
    _, plus, name = (unique_name or "").rpartition("+")
    return SCENARIOS.get(name) if plus else None
