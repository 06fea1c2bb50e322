import pytest

from ringback.core.scenario import NORMAL, Step
from ringback.core.task import Errand, Later, Subject, Task
from tests.fakes import ACCOUNT_SID, NOW, SIM_SID, a_sim, an_update
from tests.unit.core.builders import a_datagram, a_settings_update, an_esim_profile, an_sms
from tests.wireless_fakes import a_command, a_wireless_sim, a_wireless_update


def test_a_task_says_what_comes_due_of_what_and_when() -> None:
    task = Task(Step.UPDATE_SIM, SIM_SID, ACCOUNT_SID, NOW)
    assert task._asdict() == {
        "step": "update_sim",
        "subject_sid": SIM_SID,
        "account_sid": ACCOUNT_SID,
        "due": NOW,
    }


def test_a_task_that_waits_says_until_when() -> None:
    assert Later(NOW).until == NOW


@pytest.mark.parametrize(
    ("step", "subject"),
    [
        (Step.UPDATE_SIM, an_update()),
        (Step.SEND_SMS, an_sms()),
        (Step.SEND_IP, a_datagram()),
        (Step.RESERVE_PROFILE, an_esim_profile()),
        (Step.BEGIN_SETTINGS, a_settings_update()),
    ],
)
def test_the_network_is_told_the_step_its_subject_and_whom_it_reaches(
    step: Step, subject: Subject
) -> None:
    errand = Errand(step, NORMAL, subject, a_sim())
    assert (errand.step, errand.subject, errand.sim) == (step, subject, a_sim())
    assert errand.scenario is NORMAL


@pytest.mark.parametrize(
    ("step", "subject"),
    [
        (Step.CHANGE_SIM, a_wireless_update()),
        (Step.RESET_SIM, a_wireless_sim()),
        (Step.SEND_COMMAND, a_command()),
    ],
)
def test_the_network_is_told_of_both_products(step: Step, subject: Subject) -> None:
    errand = Errand(step, NORMAL, subject, a_wireless_sim())
    assert (errand.step, errand.subject, errand.sim) == (step, subject, a_wireless_sim())


def test_an_ordered_profile_reaches_nobody_yet() -> None:
    assert Errand(Step.OFFER_PROFILE, NORMAL, an_esim_profile(), None).sim is None
