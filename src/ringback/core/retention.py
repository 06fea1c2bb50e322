"""How long the records of callbacks are kept, and what of a callback goes at which time.

All times count from the end of a callback: the instant at which it was delivered, failed or was
discarded. A callback that has not ended loses nothing.
"""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from enum import Enum
from typing import Final, NamedTuple, Self

from ringback.core.accounts.account import EVERY
from ringback.core.calendar import ALWAYS, DAY, HOUR, read_duration
from ringback.core.callbacks.callback import CallbackStatus

FOREVER: Final = "forever"
"""The word for a time without an end."""
SHORTEST: Final = {"answers": HOUR, "attempts": HOUR, "delivered": 8 * DAY, "undelivered": 8 * DAY}
"""The shortest time of each kind.

`policy simulate`, `migrate status` and the metrics of the policy count the callbacks of the last
eight days (`urls_in_use.RECENT`).
"""
_WHY_SO_LONG: Final = (
    ", since `policy simulate` and `migrate` count the callbacks of the last eight days"
)


class RetentionCutoffs(NamedTuple):
    """For each time, the instant that it began at, if it ends now; None if it never ends.

    What has ended at this instant or before goes.
    """

    answers: datetime | None = None
    attempts: datetime | None = None
    delivered: datetime | None = None
    undelivered: datetime | None = None

    def whole(self, status: CallbackStatus) -> datetime | None:
        """Return the instant for callbacks that ended with this status."""
        return self.delivered if status is CallbackStatus.DELIVERED else self.undelivered


class RetentionTimes(NamedTuple):
    """How long after the end of a callback its parts are kept; None for ever."""

    answers: timedelta | None = None
    """For the bodies of receivers' answers."""
    attempts: timedelta | None = None
    """For the records of attempts, with their requests and answers, and for shadow copies."""
    delivered: timedelta | None = None
    """For delivered callbacks, with all their records."""
    undelivered: timedelta | None = None
    """For failed and discarded callbacks, with all their records."""

    def before(self, now: datetime) -> RetentionCutoffs:
        """Return the instants from which on callbacks must have ended to lose nothing yet."""
        return RetentionCutoffs(*(_before(now, time) for time in self))


KINDS: Final = RetentionTimes._fields
"""The names of the times."""
DEFAULTS: Final = RetentionTimes(7 * DAY, 30 * DAY, 30 * DAY, 90 * DAY)
"""The times that a new data folder or database begins with."""


class RetentionStage(Enum):
    """What of an ended callback goes."""

    NOTHING = "nothing"
    ATTEMPTS = "attempts"
    """Its attempts and shadow copies; the callback itself, its status and its count stay."""
    ALL = "all"
    """The callback with everything of it."""


def stage_of(status: CallbackStatus, ended: datetime, cutoffs: RetentionCutoffs) -> RetentionStage:
    """Return the stage of retention of a callback that has this status since `ended`.

    >>> cutoffs = RetentionCutoffs(delivered=datetime(2026, 1, 1))
    >>> stage_of(CallbackStatus.DELIVERED, datetime(2026, 1, 1), cutoffs)
    <RetentionStage.ALL: 'all'>
    """
    if status is CallbackStatus.SCHEDULED:
        return RetentionStage.NOTHING
    whole = cutoffs.whole(status)
    if whole is not None and ended <= whole:
        return RetentionStage.ALL
    if cutoffs.attempts is not None and ended <= cutoffs.attempts:
        return RetentionStage.ATTEMPTS
    return RetentionStage.NOTHING


def shortened(before: RetentionTimes, after: RetentionTimes) -> bool:
    """Return True if something is kept for less long than before.

    >>> shortened(RetentionTimes(), RetentionTimes(answers=DAY)), shortened(DEFAULTS, DEFAULTS)
    (True, False)
    """
    pairs = zip(before, after, strict=True)
    return any(new is not None and (old is None or new < old) for old, new in pairs)


class RetentionPolicy(NamedTuple):
    """The times in force."""

    server: RetentionTimes = RetentionTimes()
    accounts: Mapping[str, RetentionTimes] = {}
    """The complete times of the accounts that differ from the server's, by SID."""

    def of(self, account_sid: str) -> RetentionTimes:
        """Return the times of an account."""
        return self.accounts.get(account_sid, self.server)


class TimeSubject(NamedTuple):
    """Whose time it is, and which."""

    subject: str
    """The SID of an account, EVERY or DEFAULT."""
    kind: str
    """A name of `KINDS`."""


DEFAULT: Final = "default"
"""The subject of the times that the data began with."""
StoredTimes = Mapping[TimeSubject, timedelta | None]
"""Times that are set; None for ever."""


class TimeInForce(NamedTuple):
    """A time, and the place where it was set."""

    time: timedelta | None
    origin: str


class SetTimes(NamedTuple):
    """All times that are set anywhere; `in_force` decides between them."""

    in_settings: StoredTimes
    in_store: StoredTimes

    def time_of(self, account_sid: str, kind: str) -> TimeInForce:
        """Return a time of an account, or of the server for EVERY.

        What is set for an account comes before what is set for the server, and what is set at run
        time before the settings. The times that the data began with come last.
        """
        subjects = [account_sid] if account_sid == EVERY else [account_sid, EVERY]
        for subject in subjects:
            whose = "the server" if subject == EVERY else "the account"
            key = TimeSubject(subject, kind)
            if key in self.in_store:
                return TimeInForce(self.in_store[key], f"set for {whose}")
            if key in self.in_settings:
                return TimeInForce(self.in_settings[key], f"the settings, for {whose}")
        key = TimeSubject(DEFAULT, kind)
        if key in self.in_store:
            return TimeInForce(self.in_store[key], "the default of new data")
        return TimeInForce(None, "no time is set")

    def times_of(self, account_sid: str) -> RetentionTimes:
        """Return all times of an account, or of the server for EVERY."""
        return RetentionTimes(*(self.time_of(account_sid, kind).time for kind in KINDS))

    def in_force(self) -> RetentionPolicy:
        """Return the times of the server, and of the accounts that have others."""
        named = {key.subject for each in self for key in each} - {EVERY, DEFAULT}
        server = self.times_of(EVERY)
        own = {account_sid: self.times_of(account_sid) for account_sid in sorted(named)}
        return RetentionPolicy(
            server, {sid: times for sid, times in own.items() if times != server}
        )

    def having(self, changes: StoredTimes, unset: Collection[TimeSubject] = ()) -> Self:
        """Return the times after some are set or unset at run time."""
        after = {**self.in_store, **changes}
        return self._replace(in_store={key: after[key] for key in after if key not in unset})


def read_time(kind: str, text: str) -> timedelta | None:
    """Parse a time such as `30d` or `forever`, which becomes None.

    Raises ValueError if the text is invalid, or the time is too short for its kind.

    >>> read_time("attempts", "36h")
    datetime.timedelta(days=1, seconds=43200)
    """
    if text == FOREVER:
        return None
    time = read_duration(text)
    shortest = SHORTEST[kind]
    if time < shortest:
        why = "" if shortest < DAY else _WHY_SO_LONG
        raise ValueError(f"{text!r} is too short; the minimum is {show_time(shortest)}{why}")
    return time


def show_time(time: timedelta | None) -> str:
    """Return a time as `read_time` parses it.

    >>> show_time(timedelta(hours=36)), show_time(None)
    ('36h', 'forever')
    """
    if time is None:
        return FOREVER
    seconds = int(time.total_seconds())
    sizes = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))
    return next(f"{seconds // size}{unit}" for unit, size in sizes if seconds % size == 0)


def _before(now: datetime, time: timedelta | None) -> datetime | None:
    if time is None:
        return None
    return now - time if time < now - ALWAYS[0] else ALWAYS[0]
