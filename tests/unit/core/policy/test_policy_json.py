import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ringback.core.calendar import iso
from ringback.core.errors import ConfigurationError
from ringback.core.policy.dated_changes import PolicyChange, SourceRetiredChange
from ringback.core.policy.policy_json import (
    change_record,
    policy_fields,
    policy_record,
    read_policy,
    read_policy_record,
)
from ringback.core.policy.source_policy import NOTICE, Phase, PhaseHold, Policy, Source

DAY = timedelta(days=1)
BETWEEN = datetime(2024, 10, 16, tzinfo=UTC)
DATE = BETWEEN - 2 * DAY
END = DATE + DAY
OURS, THEIRS = PhaseHold("before", "AC1", until=END), PhaseHold("after", "AC2", until=END)
ENDED = PhaseHold("between", url_prefix="https://a.example", until=DATE)
POLICY = Policy(NOTICE.phases, (OURS, THEIRS, ENDED))


def test_it_has_the_phases_and_holds_at_the_date() -> None:
    record = policy_record(POLICY, date=DATE, before=())
    assert (record["date"], record["phase"]) == (DATE, "before")
    assert record["phases"][1] == {
        "name": "between",
        "since": "2024-10-16T00:00:00Z",
        "default": "kore",
        "may_ask": ["kore", "twilio"],
    }
    assert record["holds"][2] == {
        "phase": "between",
        "account_sid": None,
        "url_prefix": "https://a.example",
        "until": "2024-10-14T00:00:00Z",
        "has_ended": True,
    }
    assert [hold["has_ended"] for hold in record["holds"]] == [False, False, True]


def test_a_policy_is_read_back_from_its_json() -> None:
    text = json.dumps(policy_record(POLICY, date=DATE, before=()), default=iso)
    assert read_policy_record(json.loads(text)) == (POLICY, DATE)


def test_the_rules_alone_are_read_back_with_each_digit_of_their_times() -> None:
    moment = BETWEEN + timedelta(microseconds=1)
    phases = (*NOTICE.phases[:2], Phase("last", moment, "acme", frozenset({"acme", Source.KORE})))
    holds = (PhaseHold("last", until=moment), PhaseHold("before", "AC1", "https://a.example"))
    policy = Policy(phases, holds)
    fields = policy_fields(policy)
    assert list(fields) == ["phases", "holds"]
    assert fields["phases"][2]["since"] == "2024-10-16T00:00:00.000001Z"
    assert read_policy(json.loads(json.dumps(fields))) == policy


PHASE: dict[str, Any] = {"name": "all", "default": "kore", "may_ask": ["kore"]}


def test_fields_that_can_be_left_out_are_left_out() -> None:
    policy = read_policy({"phases": [PHASE], "holds": [{"phase": "all", "has_ended": True}]})
    phase = Phase("all", None, Source.KORE, frozenset({Source.KORE}))
    assert policy == Policy((phase,), (PhaseHold("all"),))
    assert policy.phases[0].default is Source.KORE


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        ({"phases": [PHASE]}, "holds must be a list of objects"),
        ({"phases": {}, "holds": []}, "phases must be a list of objects"),
        ({"phases": ["all"], "holds": []}, r"phases\[0\] must be an object"),
        ({"phases": [{"name": "all"}], "holds": []}, r"phases\[0\].default is missing"),
        (
            {"phases": [PHASE | {"from": 1}], "holds": []},
            r"phases\[0\].from is not a known field; the fields are default, may_ask, name, since",
        ),
        ({"phases": [PHASE | {"name": 1}], "holds": []}, r"phases\[0\].name must be text"),
        ({"phases": [PHASE | {"default": None}], "holds": []}, r"\].default must be text"),
        ({"phases": [PHASE | {"may_ask": "kore"}], "holds": []}, "may_ask must be a list of sour"),
        ({"phases": [PHASE | {"may_ask": [1]}], "holds": []}, r"phases\[0\].may_ask must be text"),
        ({"phases": [PHASE | {"since": 1}], "holds": []}, r"phases\[0\].since must be text"),
        ({"phases": [PHASE | {"since": "soon"}], "holds": []}, r"\].since: 'soon' is not a date"),
        ({"phases": [PHASE], "holds": [{"phase": 1}]}, r"holds\[0\].phase must be text"),
        (
            {"phases": [PHASE], "holds": [{"phase": "all"}, {"phase": "all", "until": "x"}]},
            r"holds\[1\].until: 'x' is not a date",
        ),
        (
            {"phases": [PHASE], "holds": [{"phase": "all", "account_sid": 1}]},
            r"holds\[0\].account_sid must be text",
        ),
        ({"phases": [PHASE], "holds": [{"phase": "none"}]}, "a hold names the unknown phase"),
        ({"phases": [], "holds": []}, "the first phase must have no date"),
    ],
)
def test_rules_that_are_not_valid_are_refused_by_their_place(
    record: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"^policy: .*{problem}"):
        read_policy(record)


def test_a_change_has_the_time_until_it() -> None:
    assert change_record(PolicyChange(BETWEEN, SourceRetiredChange("twilio")), DATE) == {
        "date": BETWEEN,
        "change": "source_ends",
        "meaning": "twilio ends",
        "seconds_left": 172800.0,
    }


def test_a_near_change_has_a_warning() -> None:
    record = policy_record(POLICY, date=DATE, before=(2 * DAY,))
    assert record["warnings"] == [
        "2 holds end at 2024-10-15T00:00:00Z, in 1 day",
        "the default moves from twilio to kore at 2024-10-16T00:00:00Z, in 2 days",
    ]


def test_holds_of_other_accounts_are_left_out_with_their_ends() -> None:
    def meanings(*whose: str) -> list[str]:
        record = policy_record(
            POLICY, date=DATE, before=(DAY,), concerns=lambda hold: hold.account_sid in whose
        )
        assert [hold["account_sid"] for hold in record["holds"]] == [*whose]
        found = [change["meaning"] for change in record["borders"]]
        # Only changes within a day have warnings: the ends of holds, but not the new phases.
        warned = [warning.partition(" at ")[0] for warning in record["warnings"]]
        assert warned == found[:-2]
        return found

    of_the_notice = ["the default moves from twilio to kore", "twilio ends"]
    assert meanings("AC1") == ["the hold of AC1 in phase 'before' ends", *of_the_notice]
    assert meanings("AC1", "AC2") == ["2 holds end", *of_the_notice]
    assert meanings() == of_the_notice
