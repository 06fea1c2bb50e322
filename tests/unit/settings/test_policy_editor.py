"""Edits of the policy in a settings file: they change nothing else in the file."""

from datetime import UTC, datetime

import pytest

from ringback.core.errors import ConfigurationError
from ringback.core.policy.source_policy import NOTICE, PhaseHold, Policy
from ringback.settings.file import SettingsFile
from ringback.settings.load import policy_in
from ringback.settings.policy_editor import as_text, with_policy

END = datetime(2027, 6, 1, tzinfo=UTC)

FILE = """\
# ours
port = 8080   # as always

[[phases]]   # the first
name = "before"
default = "twilio"
may_ask = [
  "twilio",  # all
  "kore",
]

[[phases]]
  since = "2027-03-01"  # agreed in May
  name = "after"
  default = "kore"
  may_ask = ["kore"]

# The slow mover; ticket 12.
[[holds]]
phase = 'before'
url_prefix = "https://slow.example/#1"  # theirs

# Another.
[[holds]]
phase = "before"
account_sid = "AC1"
# until we know more

[egress]
dublin = "192.0.2.7"
"""


def file_of(text: str) -> SettingsFile:
    return SettingsFile.of("ringback.toml", text)


def changed(old: str, new: str) -> tuple[list[str], list[str]]:
    """Return the lines that are only in the old text, and those that are only in the new one."""
    before, after = old.splitlines(), new.splitlines()
    return (
        [line for line in before if line not in after],
        [line for line in after if line not in before],
    )


def move_phase(file: SettingsFile, name: str, since: datetime) -> str:
    return with_policy(file, policy_in(file).with_phase_since(name, since))


def put_hold(file: SettingsFile, hold: PhaseHold) -> str:
    return with_policy(file, policy_in(file).with_hold(hold))


def release(file: SettingsFile, account_sid: str | None, url_prefix: str | None) -> str:
    return with_policy(file, policy_in(file).without_hold(account_sid, url_prefix))


# ---- phases


def test_a_phase_is_moved_on_its_line_and_keeps_its_comment() -> None:
    edited = move_phase(file_of(FILE), "after", END)
    assert edited == FILE.replace('"2027-03-01"', '"2027-06-01"')


def test_the_other_phases_keep_their_text() -> None:
    text = FILE.replace(
        "[[phases]]\n  since",
        '[[phases]]\nname = "middle"\n'
        'since = 2027-02-01T00:00:00Z\ndefault = "kore"\n'
        'may_ask = ["kore"]\n\n[[phases]]\n  since',
    )
    assert move_phase(file_of(text), "after", END) == text.replace('"2027-03-01"', '"2027-06-01"')


def test_the_first_phase_gets_no_date() -> None:
    with pytest.raises(ConfigurationError, match="the first phase must have no date"):
        move_phase(file_of(FILE), "before", END)


def test_an_hour_is_written_out() -> None:
    edited = move_phase(file_of(FILE.replace('"2027-03-01"', "2027-03-01")), "after", END)
    assert "  since = 2027-06-01  # agreed in May\n" in edited
    edited = move_phase(file_of(edited), "after", END.replace(hour=12))
    assert "  since = 2027-06-01T12:00:00Z  # agreed in May\n" in edited


def test_without_phases_those_of_the_notice_are_written_out() -> None:
    edited = move_phase(file_of("port = 1"), "after", END)
    assert edited.startswith('port = 1\n\n[[phases]]\nname = "before"\n')
    assert edited.endswith('since = 2027-06-01\ndefault = "kore"\nmay_ask = ["kore"]\n')
    phases = policy_in(file_of(edited)).phases
    assert [phase.since for phase in phases] == [None, NOTICE.phases[1].since, END]


# ---- holds


def test_a_hold_gets_an_end_after_its_last_word() -> None:
    edited = put_hold(file_of(FILE), PhaseHold("before", "AC1", until=END))
    assert edited == FILE.replace(
        'account_sid = "AC1"\n', 'account_sid = "AC1"\nuntil = 2027-06-01\n'
    )


def test_a_hold_is_changed_in_its_place() -> None:
    slow = PhaseHold("after", url_prefix="https://slow.example/#1")
    edited = put_hold(file_of(FILE), slow)
    assert changed(FILE, edited) == (["phase = 'before'"], ['phase = "after"'])


def test_an_end_is_changed_or_removed() -> None:
    text = put_hold(file_of(FILE), PhaseHold("before", "AC1", until=END))
    later = put_hold(file_of(text), PhaseHold("before", "AC1", until=END.replace(month=7)))
    assert changed(text, later) == (["until = 2027-06-01"], ["until = 2027-07-01"])
    assert put_hold(file_of(text), PhaseHold("before", "AC1")) == FILE


def test_an_edit_without_effect_changes_nothing() -> None:
    assert put_hold(file_of(FILE), PhaseHold("before", "AC1")) == FILE


def test_a_new_hold_comes_last() -> None:
    edited = put_hold(file_of(FILE), PhaseHold("after", "AC2", "https://b.example/", END))
    assert edited == FILE + (
        '\n[[holds]]\nphase = "after"\naccount_sid = "AC2"\n'
        'url_prefix = "https://b.example/"\nuntil = 2027-06-01\n'
    )


def test_a_new_hold_comes_before_one_that_would_take_precedence() -> None:
    edited = put_hold(file_of(FILE), PhaseHold("after", "AC1", "https://b.example/"))
    assert edited == FILE.replace(
        "# Another.\n",
        '[[holds]]\nphase = "after"\naccount_sid = "AC1"\nurl_prefix = "https://b.example/"\n\n'
        "# Another.\n",
    )
    assert [hold.phase for hold in policy_in(file_of(edited)).holds] == [
        "before",
        "after",
        "before",
    ]


def test_releasing_a_hold_removes_exactly_its_text() -> None:
    edited = release(file_of(FILE), "AC1", None)
    gone, new = changed(FILE, edited)
    assert (gone, new) == (['phase = "before"', 'account_sid = "AC1"'], [])
    assert "# Another.\n# until we know more\n\n[egress]" in edited
    edited = release(file_of(edited), None, "https://slow.example/#1")
    assert "[[holds]]" not in edited
    assert policy_in(file_of(edited)).holds == ()


def test_adding_and_releasing_a_hold_leaves_the_text_unchanged() -> None:
    added = put_hold(file_of(FILE), PhaseHold("after", "AC2"))
    assert release(file_of(added), "AC2", None) == FILE


# ---- texts of all kinds


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("last", ["", "\n", "\n\n# the end"])
def test_line_endings_and_the_end_of_the_file_stay(ending: str, last: str) -> None:
    text = f'[[holds]]\nphase = "before"\naccount_sid = "AC1"{last}'.replace("\n", ending)
    edited = put_hold(file_of(text), PhaseHold("after", "AC1"))
    assert edited == text.replace("before", "after")
    ended = put_hold(file_of(text), PhaseHold("before", "AC1", until=END))
    assert policy_in(file_of(ended)).holds == (PhaseHold("before", "AC1", until=END),)


def test_a_hold_can_be_added_to_an_empty_file() -> None:
    assert put_hold(file_of(""), PhaseHold("before", "AC1")) == (
        '[[holds]]\nphase = "before"\naccount_sid = "AC1"\n'
    )


def test_an_edit_that_would_change_something_else_is_refused() -> None:
    with pytest.raises(
        ConfigurationError, match="is written in a way that this command can't edit"
    ):
        put_hold(file_of(FILE), PhaseHold("after", account_sid="", url_prefix="https://b.example/"))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            'port = 1\nholds = [{phase = "before", account_sid = "AC1"}]\n',
            r"ringback.toml:2: this command can edit holds only if they are written",
        ),
        (
            '[[holds]]\nphase = """before"""\naccount_sid = "AC1"\n',
            'can\'t be edited by this command; write it like phase = "after"',
        ),
    ],
)
def test_a_text_that_cannot_be_edited_is_refused(text: str, why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        put_hold(file_of(text), PhaseHold("after", "AC1"))
    if "holds = " in text:
        with pytest.raises(ConfigurationError, match=why):
            put_hold(file_of(text), PhaseHold("after", "AC2"))


# ---- a whole policy


def test_a_policy_is_written_as_a_file_that_has_only_this_policy() -> None:
    holds = (PhaseHold("before", "AC1"), PhaseHold("after", None, "https://a.example/", END))
    policy = Policy(NOTICE.phases, holds)
    text = as_text(policy)
    assert policy_in(file_of(text)) == policy
    assert text.startswith('[[phases]]\nname = "before"\ndefault = "twilio"\n')
    assert text.endswith(
        '[[holds]]\nphase = "before"\naccount_sid = "AC1"\n\n'
        '[[holds]]\nphase = "after"\nurl_prefix = "https://a.example/"\nuntil = 2027-06-01\n'
    )


def test_several_changes_at_once_are_refused() -> None:
    held = Policy(policy_in(file_of(FILE)).phases, (PhaseHold("after", "AC2"),))
    with pytest.raises(ConfigurationError, match="in a way that this command can't edit"):
        with_policy(file_of(FILE), held)
