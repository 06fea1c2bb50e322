import pytest

from ringback.core.scheduled_task import CarrierRequest, ScheduledTask, Subject, TaskPostponed
from ringback.core.sims.scenario import NORMAL, TaskKind
from tests.fakes import ACCOUNT_SID, NOW, SIM_SID, a_sim, an_update
from tests.unit.core.builders import a_datagram, a_settings_update, an_esim_profile, an_sms
from tests.wireless_fakes import a_command, a_wireless_sim, a_wireless_update


def test_a_task_has_its_kind_its_subject_and_its_due_time() -> None:
    task = ScheduledTask(TaskKind.UPDATE_SIM, SIM_SID, ACCOUNT_SID, NOW)
    assert task._asdict() == {
        "step": "update_sim",
        "subject_sid": SIM_SID,
        "account_sid": ACCOUNT_SID,
        "due": NOW,
    }


def test_a_waiting_task_says_until_when() -> None:
    assert TaskPostponed(NOW).until == NOW


@pytest.mark.parametrize(
    ("step", "subject"),
    [
        (TaskKind.UPDATE_SIM, an_update()),
        (TaskKind.SEND_SMS, an_sms()),
        (TaskKind.SEND_IP, a_datagram()),
        (TaskKind.RESERVE_PROFILE, an_esim_profile()),
        (TaskKind.BEGIN_SETTINGS, a_settings_update()),
    ],
)
def test_a_carrier_request_has_its_step_its_subject_and_its_sim(
    step: TaskKind, subject: Subject
) -> None:
    request = CarrierRequest(step, NORMAL, subject, a_sim())
    assert (request.step, request.subject, request.sim) == (step, subject, a_sim())
    assert request.scenario is NORMAL


@pytest.mark.parametrize(
    ("step", "subject"),
    [
        (TaskKind.CHANGE_SIM, a_wireless_update()),
        (TaskKind.RESET_SIM, a_wireless_sim()),
        (TaskKind.SEND_COMMAND, a_command()),
    ],
)
def test_a_carrier_request_is_about_either_product(step: TaskKind, subject: Subject) -> None:
    request = CarrierRequest(step, NORMAL, subject, a_wireless_sim())
    assert (request.step, request.subject, request.sim) == (step, subject, a_wireless_sim())


def test_an_ordered_profile_involves_no_device_yet() -> None:
    assert CarrierRequest(TaskKind.OFFER_PROFILE, NORMAL, an_esim_profile(), None).sim is None
