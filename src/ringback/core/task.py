"""What will come due of a resource by itself, and when."""

from datetime import datetime
from typing import NamedTuple

from ringback.core.scenario import Step


class Task(NamedTuple):
    """A step of one resource; there is at most one of each step."""

    step: Step
    subject_sid: str
    account_sid: str
    due: datetime


class Later(NamedTuple):
    """What to do with a task that has to wait for another one."""

    until: datetime
    """When it comes due again; at the same instant, behind what is due then already."""
