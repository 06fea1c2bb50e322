from datetime import timedelta

import pytest

from ringback.core.sims.scenario import (
    CARRIED_OUT,
    NORMAL,
    SCENARIOS,
    CarrierFailure,
    CarrierResult,
    CarrierSucceeded,
    CarrierTimeout,
    TaskKind,
    failure_in,
    scenario_called,
    scenario_in,
)

# Every scenario with the steps that do not succeed, and the result of each.
RESULTS: dict[str, dict[TaskKind, CarrierResult]] = {
    "normal": {},
    "update-fails": {
        TaskKind.UPDATE_SIM: CarrierFailure(83004, "the SIM could not be updated"),
        TaskKind.CHANGE_SIM: CarrierFailure(33000, "the SIM could not be updated"),
    },
    "unattached": {
        TaskKind.SEND_IP: CarrierFailure(83401, "the device is not attached to a network"),
        TaskKind.CONFIRM_SMS: CarrierTimeout(),
        TaskKind.CONFIRM_COMMAND: CarrierTimeout(),
    },
    "attach-fails": {},
    "session-fails": {},
    "network-not-allowed": {},
    "attach-limited": {},
    "ip-fails": {TaskKind.SEND_IP: CarrierFailure(83400, "the IP Command could not be sent")},
    "sms-unconfirmed": {
        TaskKind.CONFIRM_SMS: CarrierTimeout(),
        TaskKind.CONFIRM_COMMAND: CarrierTimeout(),
    },
    "sms-fails": {
        TaskKind.SEND_SMS: CarrierFailure(20500, "the SMS could not be sent"),
        TaskKind.SEND_COMMAND: CarrierFailure(33000, "the Command could not be sent"),
    },
    "no-stock": {TaskKind.OFFER_PROFILE: CarrierFailure(83500, "no eSIM Profiles are available")},
    "download-fails": {
        TaskKind.DOWNLOAD_PROFILE: CarrierFailure(20500, "the profile could not be downloaded")
    },
    "settings-fail": {
        TaskKind.END_SETTINGS: CarrierFailure(20500, "the settings could not be written")
    },
    "operator-busy": {},
    "reset-fails": {
        TaskKind.RESET_SIM: CarrierFailure(33000, "the connectivity could not be reset")
    },
    "asleep": {},
    "slow": {},
}
# Every scenario in which a device can't attach or begin a data session, and what it gets instead.
CONNECTIONS: dict[str, tuple[CarrierResult, CarrierResult]] = {
    "unattached": (CarrierTimeout(), CARRIED_OUT),
    "attach-fails": (CarrierFailure(83700, "Attachment Failed Due To Internal Error"), CARRIED_OUT),
    "session-fails": (
        CARRIED_OUT,
        CarrierFailure(83701, "Data Session Establishment Failed Due To Internal Error"),
    ),
    "network-not-allowed": (
        CarrierFailure(83702, "Attachment Rejected Due To Network Not Allowed"),
        CARRIED_OUT,
    ),
    "attach-limited": (
        CarrierFailure(83703, "Attachment Rejected Due To Rate Limiting"),
        CARRIED_OUT,
    ),
}
# Every scenario in which steps wait, and how long each waits.
WAITS = {
    "operator-busy": {TaskKind.TAKE_ON_CHANGE: timedelta(hours=1)},
    "asleep": {TaskKind.SEND_COMMAND: timedelta(days=1)},
}


def test_these_are_all_scenarios() -> None:
    assert list(SCENARIOS) == list(RESULTS)
    assert [scenario.name for scenario in SCENARIOS.values()] == list(RESULTS)


@pytest.mark.parametrize("name", RESULTS)
def test_a_scenario_changes_the_results_of_these_steps_only(name: str) -> None:
    ends = {step: SCENARIOS[name].result_of(step) for step in TaskKind}
    assert ends == {step: RESULTS[name].get(step, CarrierSucceeded()) for step in TaskKind}


@pytest.mark.parametrize("name", RESULTS)
def test_only_the_slow_scenario_is_slower(name: str) -> None:
    assert SCENARIOS[name].slowness == (20 if name == "slow" else 1)


@pytest.mark.parametrize("name", RESULTS)
def test_a_scenario_delays_these_steps_only(name: str) -> None:
    waits = {step: SCENARIOS[name].wait_before(step) for step in TaskKind}
    assert waits == {step: WAITS.get(name, {}).get(step, timedelta(0)) for step in TaskKind}


@pytest.mark.parametrize("name", RESULTS)
def test_a_scenario_lets_devices_connect_unless_it_is_about_that(name: str) -> None:
    scenario = SCENARIOS[name]
    expected = CONNECTIONS.get(name, (CARRIED_OUT, CARRIED_OUT))
    assert (scenario.attachment, scenario.data_session) == expected


@pytest.mark.parametrize("name", RESULTS)
def test_a_scenarios_meaning_has_the_codes_that_customers_see(name: str) -> None:
    meaning = SCENARIOS[name].meaning
    assert meaning
    codes = [
        str(result.code)
        for result in [*SCENARIOS[name].results.values(), *CONNECTIONS.get(name, ())]
        if isinstance(result, CarrierFailure) and result.code != 20500
    ]
    assert [code for code in codes if code not in meaning] == []


def test_automatic_steps_fail_in_no_scenario() -> None:
    by_itself = (
        TaskKind.ACTIVATE_SIM,
        TaskKind.RENEW_PERIOD,
        TaskKind.REPORT_USAGE,
        TaskKind.FOLLOW_SESSIONS,
        TaskKind.TAKE_ON_CHANGE,
        TaskKind.FINALIZE_SIM,
        TaskKind.METER_SIM,
        TaskKind.FORGET_COMMAND,
    )
    for step in by_itself:
        assert {scenario.result_of(step) for scenario in SCENARIOS.values()} == {CARRIED_OUT}


def test_steps_have_the_names_in_the_store() -> None:
    assert list(TaskKind) == [
        "update_sim",
        "activate_sim",
        "renew_period",
        "send_sms",
        "confirm_sms",
        "send_ip",
        "reserve_profile",
        "offer_profile",
        "download_profile",
        "install_profile",
        "begin_settings",
        "end_settings",
        "report_usage",
        "follow_sessions",
        "take_on_change",
        "change_sim",
        "finalize_sim",
        "reset_sim",
        "meter_sim",
        "send_command",
        "confirm_command",
        "forget_command",
    ]


@pytest.mark.parametrize("name", RESULTS)
def test_a_scenario_is_found_by_its_name(name: str) -> None:
    assert scenario_called(name) is SCENARIOS[name]


@pytest.mark.parametrize(
    ("name", "suggested"),
    [
        ("", "; the scenarios are "),
        ("none", "; the scenarios are "),
        ("Normal", "; did you mean normal? The scenarios are "),
        ("update_fails", "; did you mean update-fails? The scenarios are "),
        ("offline", "; did you mean unattached? The scenarios are "),
    ],
)
def test_an_unknown_name_is_refused_with_the_known_ones(name: str, suggested: str) -> None:
    with pytest.raises(ValueError, match="there is no scenario") as refused:
        scenario_called(name)
    assert str(refused.value) == f"there is no scenario {name!r}{suggested}{', '.join(RESULTS)}"


@pytest.mark.parametrize("name", RESULTS)
@pytest.mark.parametrize("front", ["", "meter 7", "a+b", "a+update-fails"])
def test_a_unique_name_chooses_the_scenario_after_its_last_plus(front: str, name: str) -> None:
    assert scenario_in(f"{front}+{name}") is SCENARIOS[name]


@pytest.mark.parametrize(
    "unique_name",
    [None, "", "+", "meter 7", "slow", "meter+", "meter+SLOW", "meter+slow ", "slow+meter"],
)
def test_any_other_name_chooses_none(unique_name: str | None) -> None:
    assert scenario_in(unique_name) is None


def test_a_name_can_choose_the_normal_network_if_another_is_set() -> None:
    assert scenario_in("meter+normal") is NORMAL


# ---- reasons of failures -------------------------------------------------------------------------


def test_a_completed_step_has_not_failed() -> None:
    assert failure_in(CARRIED_OUT, unanswered=33000) is None


def test_a_failed_step_has_its_own_reason() -> None:
    failure = CarrierFailure(83401, "gone")
    assert failure_in(failure, unanswered=33000) is failure


@pytest.mark.parametrize("code", [33000, 83004])
def test_an_unanswered_step_has_failed_with_the_code_of_its_product(code: int) -> None:
    failure = CarrierFailure(code, "the network did not answer")
    assert failure_in(CarrierTimeout(), unanswered=code) == failure
