from datetime import timedelta

import pytest

from ringback.core.callback_url import CallbackUrl
from ringback.core.connection import Connection
from ringback.core.outcome import Delivered, Failure, Outcome, Refused, Unknown, Unreachable
from ringback.core.retry import Decision, Done, GiveUp, Round, TryAgain, decide, time_left
from ringback.core.source import Source
from tests.fakes import NOW

TWILIO, KORE = Source.TWILIO, Source.KORE
AGAIN = TryAgain(NOW, fresh_round=False)
MICROSECOND = timedelta(microseconds=1)


def after(
    outcome: Outcome,
    fragment: str = "",
    source: Source = TWILIO,
    *,
    attempts: int = 1,
    spent: timedelta = timedelta(0),
) -> Decision:
    """Return what follows the last of so many attempts, this long after the round began."""
    return decide(
        outcome,
        connection=CallbackUrl.parse(f"http://a.example/#{fragment}").connection,
        source=source,
        round_=Round(attempts, NOW - spent),
        now=NOW,
    )


def failed(failure: Failure) -> Unreachable:
    return Unreachable(failure, "it failed")


# ---- which failures are tried again: by each source's default, and by each value of rp

CONNECTING = [
    failed(Failure.NAME),
    failed(Failure.CONNECT),
    failed(Failure.CONNECT_TIMEOUT),
    failed(Failure.TLS),
    failed(Failure.CERTIFICATE_NAME),
    failed(Failure.CERTIFICATE_EXPIRED),
    failed(Failure.CERTIFICATE_UNTRUSTED),
    failed(Failure.STALE),
]
READING = [
    failed(Failure.READ_TIMEOUT),
    failed(Failure.TOTAL_TIMEOUT),
    failed(Failure.CLOSED),
    failed(Failure.PROTOCOL),
]
REDIRECTS = [Refused(301), Refused(302, "/there"), Refused(308), Refused(304)]
KORE_ONLY = [Refused(408), Refused(423)]
CLIENT_ERRORS = [Refused(400), Refused(404), Refused(409), Refused(429), Refused(499)]
SERVER_ERRORS = [Refused(500), Refused(502), Refused(503), Refused(504), Refused(599)]
ODD = [Refused(199), Refused(600), Refused(999)]
EVERYTHING = [
    *CONNECTING, *READING, *REDIRECTS, *KORE_ONLY, *CLIENT_ERRORS, *SERVER_ERRORS, *ODD
]  # fmt: skip


@pytest.mark.parametrize(
    ("source", "fragment", "retried"),
    [
        (TWILIO, "", CONNECTING),
        (KORE, "", [*CONNECTING, *KORE_ONLY, *SERVER_ERRORS]),
        (TWILIO, "rp=ct", CONNECTING),
        (KORE, "rp=ct", CONNECTING),
        (TWILIO, "rp=rt", READING),
        (KORE, "rp=rt", READING),
        (TWILIO, "rp=4xx", [*KORE_ONLY, *CLIENT_ERRORS]),
        (KORE, "rp=4xx", [*KORE_ONLY, *CLIENT_ERRORS]),
        (TWILIO, "rp=5xx", SERVER_ERRORS),
        (KORE, "rp=5xx", SERVER_ERRORS),
        (TWILIO, "rp=ct,rt,5xx", [*CONNECTING, *READING, *SERVER_ERRORS]),
        (TWILIO, "rp=all", EVERYTHING),
        (KORE, "rp=all", EVERYTHING),
        (TWILIO, "rp=all,ct", EVERYTHING),
    ],
)
def test_what_is_tried_again(source: Source, fragment: str, retried: list[Outcome]) -> None:
    decisions = [after(outcome, fragment, source) for outcome in EVERYTHING]
    assert [
        outcome
        for outcome, decision in zip(EVERYTHING, decisions, strict=True)
        if decision == AGAIN
    ] == retried


def test_the_table_covers_every_failure() -> None:
    never = {Failure.GUARD, Failure.INTERNAL}
    assert {outcome.failure for outcome in (*CONNECTING, *READING)} | never == set(Failure)


# ---- what ends the callback, or begins a new round, whatever rp says


@pytest.mark.parametrize("fragment", ["", "rp=all&rc=5", "rc=0"])
def test_a_delivery_ends_the_callback(fragment: str) -> None:
    assert after(Delivered(204), fragment) == Done()


@pytest.mark.parametrize("fragment", ["", "rp=4xx&rc=5", "rp=all&rc=5"])
@pytest.mark.parametrize("source", Source)
def test_gone_ends_the_callback(source: Source, fragment: str) -> None:
    assert after(Refused(410), fragment, source) == GiveUp(
        "the receiver answered 410 Gone: the receiver wants no more"
    )


@pytest.mark.parametrize("failure", [Failure.GUARD, Failure.INTERNAL])
def test_what_no_further_attempt_can_change_ends_the_callback(failure: Failure) -> None:
    assert after(failed(failure), "rp=all&rc=5") == GiveUp("it failed")


@pytest.mark.parametrize("fragment", ["", "rc=0", "rp=4xx"])
def test_an_unknown_ending_is_tried_again_in_a_fresh_round(fragment: str) -> None:
    spent = timedelta(hours=1)
    assert after(Unknown(), fragment, attempts=6, spent=spent) == TryAgain(NOW, fresh_round=True)


# ---- the limits of a round


@pytest.mark.parametrize("retry_count", [0, 1, 2, 3, 4, 5])
def test_a_round_has_one_attempt_and_rc_more(retry_count: int) -> None:
    outcome = failed(Failure.CONNECT)
    last = retry_count + 1
    decisions = [
        after(outcome, f"rc={retry_count}", attempts=attempts) for attempts in range(1, last + 1)
    ]
    given_up = GiveUp(f"it failed; not tried again, since rc={retry_count}")
    assert decisions == [AGAIN] * retry_count + [given_up]


def test_without_rc_there_is_one_retry() -> None:
    outcome = failed(Failure.CONNECT)
    assert after(outcome, attempts=1) == AGAIN
    assert after(outcome, attempts=2) == GiveUp("it failed; not tried again, since rc=1")


@pytest.mark.parametrize(
    ("spent", "expected"),
    [
        (timedelta(0), AGAIN),
        (timedelta(milliseconds=200) - MICROSECOND, AGAIN),
        (timedelta(milliseconds=200), GiveUp("it failed; no time left, since tt=200 ms")),
        (timedelta(seconds=9), GiveUp("it failed; no time left, since tt=200 ms")),
    ],
)
def test_a_round_lasts_no_longer_than_tt(spent: timedelta, expected: Decision) -> None:
    assert after(failed(Failure.CONNECT), "tt=200", spent=spent) == expected


def test_a_failure_outside_rp_is_given_up_with_the_policy_in_words() -> None:
    assert after(Refused(404), source=KORE) == GiveUp(
        "the receiver answered 404 Not Found; not tried again,"
        " since the retry policy is rp=408,423,5xx,ct"
    )


@pytest.mark.parametrize(
    ("spent_ms", "left_ms"), [(0, 15000), (14999, 1), (15000, 0), (16000, -1000)]
)
def test_the_time_left_is_what_tt_leaves_of_the_round(spent_ms: int, left_ms: int) -> None:
    round_ = Round(1, NOW - timedelta(milliseconds=spent_ms))
    assert time_left(Connection(), round_, NOW) == timedelta(milliseconds=left_ms)
