"""How people are told of a schedule."""

from ringback.core.schedule import SCHEDULES, Schedule


def schedule_in_words(schedule: Schedule) -> str:
    """Return a schedule's name, else its waits.

    >>> schedule_in_words(Schedule.parse("persistent")), schedule_in_words(Schedule.parse("5s,1m"))
    ('persistent', '5s,60s')
    """
    names = (name for name, waits in SCHEDULES.items() if waits == schedule.waits)
    return next(names, ",".join(f"{wait.total_seconds():g}s" for wait in schedule.waits))
