import json
from datetime import UTC, datetime, timedelta

from ringback.core.calendar import iso
from ringback.core.policy.dated_changes import PolicyChange, SourceRetiredChange
from ringback.core.policy.policy_json import change_record, policy_record, read_policy_record
from ringback.core.policy.source_policy import NOTICE, PhaseHold, Policy

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
        "since": BETWEEN,
        "default": "kore",
        "may_ask": ["kore", "twilio"],
    }
    assert record["holds"][2] == {
        "phase": "between",
        "account_sid": None,
        "url_prefix": "https://a.example",
        "until": DATE,
        "has_ended": True,
    }
    assert [hold["has_ended"] for hold in record["holds"]] == [False, False, True]


def test_a_policy_is_read_back_from_its_json() -> None:
    text = json.dumps(policy_record(POLICY, date=DATE, before=()), default=iso)
    assert read_policy_record(json.loads(text)) == (POLICY, DATE)


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
