"""Each law of the soak finds violations, and nothing in correct evidence."""

from dataclasses import replace

import pytest

from tests.crash.evidence import LAWS, Arrival, Asked, Evidence, Record, Row, broken

STEADY, BREAKING = "http://127.0.0.1:1/a", "http://127.0.0.1:2/a"
DELIVERED, REFUSED = Row(1, "delivered", 200, None), Row(1, "refused", 503, None)
UNKNOWN, RESET = Row(1, "unknown", None, None), Row(1, "unreachable", None, "closed")
ANSWERED = Arrival("RQ1", "kore", "POST /a HTTP/1.1", "Key=k1", 200)
ASKED = Asked("k1", STEADY, "POST", "Key=k1", "kore", 0)
RECORD = Record(
    sid="CB1",
    key="k1",
    url=STEADY,
    method="POST",
    body="Key=k1",
    source="kore",
    token="RQ1",
    status="delivered",
    reason=None,
    attempt_count=1,
    created_us=1,
    rows=(DELIVERED,),
)
WELL = Evidence(
    asked={"k1": ASKED},
    answers={"k1": ["CB1"]},
    records=[RECORD],
    arrivals=[ANSWERED],
    steady=frozenset({STEADY}),
    healthy=frozenset({STEADY}),
)


def having(*rows: Row, arrivals: int = 1, **more: object) -> Evidence:
    """Return correct evidence, except for these rows and `arrivals` requests."""
    numbered = tuple(row._replace(number=number) for number, row in enumerate(rows, 1))
    changed = {"rows": numbered, "attempt_count": len(rows), **more}
    return replace(WELL, records=[replace(RECORD, **changed)], arrivals=[ANSWERED] * arrivals)


def at(url: str, evidence: Evidence) -> Evidence:
    """Return the evidence as it would be at another receiver."""
    records = [replace(record, url=url) for record in evidence.records]
    return replace(evidence, records=records, asked={"k1": ASKED._replace(url=url)})


def failing(reason: str, url: str = BREAKING) -> Evidence:
    arrivals = [ANSWERED._replace(answer=503)]
    failed = having(REFUSED, status="failed", reason=reason)
    return replace(at(url, failed), arrivals=arrivals, gone=frozenset({BREAKING}))


def in_order(*arrivals: tuple[str, float], unknown: bool = False) -> Evidence:
    """Return the evidence of two callbacks in order; their requests have these tokens and times."""
    rows = (UNKNOWN, DELIVERED._replace(number=2)) if unknown else (DELIVERED,)
    first = replace(RECORD, rows=rows, attempt_count=len(rows))
    second = replace(RECORD, sid="CB2", key="k2", token="RQ2", body="Key=k2")
    said = {"RQ1": "Key=k1", "RQ2": "Key=k2"}
    return replace(
        WELL,
        asked={
            "k1": ASKED._replace(order_key="one"),
            "k2": ASKED._replace(key="k2", body="Key=k2", order_key="one"),
        },
        records=[first, second],
        arrivals=[ANSWERED._replace(token=one, body=said[one], at=at) for one, at in arrivals],
    )


@pytest.mark.parametrize(
    "evidence",
    [
        WELL,
        having(UNKNOWN, DELIVERED, arrivals=1),
        having(UNKNOWN, DELIVERED, arrivals=2),
        at(BREAKING, having(RESET, DELIVERED, arrivals=1)),
        at(BREAKING, having(RESET, DELIVERED, arrivals=2)),
        failing("the receiver answered 410 Gone: the receiver wants no more requests"),
        failing("…; not tried again, since that was the last of 5 rounds of attempts"),
        in_order(("RQ1", 1), ("RQ2", 2)),
        in_order(("RQ1", 1), ("RQ2", 2), ("RQ1", 3), unknown=True),  # from a suspended process
    ],
)
def test_correct_evidence_breaks_no_law(evidence: Evidence) -> None:
    assert broken(evidence) == []


WRONG: list[tuple[str, Evidence]] = [
    ("kept", replace(WELL, records=[], arrivals=[])),
    ("kept", replace(WELL, answers={"k1": ["CB1", "CB2"]})),
    ("kept", replace(WELL, answers={"k2": ["CB1"]})),
    ("once", replace(WELL, records=[RECORD, replace(RECORD, sid="CB2", token="RQ2")])),
    ("once", replace(WELL, asked={})),
    (
        "whole",
        replace(
            WELL,
            asked={"k1": ASKED, "k2": ASKED._replace(key="k2")},
            records=[RECORD, replace(RECORD, sid="CB2", key="k2", token="RQ2", created_us=2)],
        ),
    ),
    ("as asked", replace(WELL, asked={"k1": ASKED._replace(source="twilio")})),
    ("ended", having(DELIVERED, status="scheduled")),
    ("ended", replace(WELL, left_open=1)),
    ("delivered", having(DELIVERED, DELIVERED, arrivals=2)),
    ("delivered", having(DELIVERED, UNKNOWN)),
    ("delivered", having(UNKNOWN)),
    ("delivered", replace(WELL, arrivals=[ANSWERED._replace(answer=503)])),
    ("failed", failing("the receiver answered 503 Service Unavailable")),
    ("failed", failing("…, since that was the last of 5 rounds", STEADY)),
    ("logged", having(DELIVERED, arrivals=2)),
    ("logged", having(DELIVERED, arrivals=0)),
    ("strangers", replace(WELL, arrivals=[ANSWERED, ANSWERED._replace(token="RQ2")])),
    ("explained", having(REFUSED, DELIVERED, arrivals=1)),
    ("explained", having(RESET, DELIVERED)),
    ("explained", replace(WELL, dead=frozenset({STEADY}))),
    ("repeated", having(REFUSED, DELIVERED, arrivals=2)),
    ("in order", in_order(("RQ2", 1), ("RQ1", 2))),
    ("in order", in_order(("RQ2", 1), ("RQ1", 2), unknown=True)),
    ("in order", in_order(("RQ1", 1), ("RQ2", 2), ("RQ1", 3))),
    ("numbered", having(DELIVERED, attempt_count=2)),
    ("same", replace(WELL, arrivals=[ANSWERED, ANSWERED._replace(body="Key=k2")])),
    ("same", replace(WELL, arrivals=[ANSWERED._replace(source="twilio")])),
    ("sound", having(RESET._replace(failure="internal"), DELIVERED)),
]


@pytest.mark.parametrize(("law", "evidence"), WRONG)
def test_each_law_finds_its_violations(law: str, evidence: Evidence) -> None:
    assert [each for each in broken(evidence) if each.startswith(f"{law}: ")]


def test_each_law_is_covered_by_a_violation() -> None:
    assert {law for law, _ in WRONG} == set(LAWS)
