from ringback.core.scenario import Step
from ringback.core.task import Later, Task
from tests.fakes import ACCOUNT_SID, NOW, SIM_SID


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
