"""Versions of the policy: how they are written, and when a settings file is behind."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from ringback.core.errors import ConfigurationError
from ringback.core.policy.policy_version import (
    OPERATOR,
    PolicyPart,
    PolicyVersion,
    read_policy_text,
    write_policy,
)
from ringback.core.policy.source_policy import NOTICE, PhaseHold, Policy

AT = datetime(2027, 6, 1, 12, tzinfo=UTC)
HELD = Policy(NOTICE.phases, (PhaseHold("before", "AC1"),))
PART = PolicyPart(NOTICE, "ringback.toml")


def test_a_policy_is_read_back_from_its_text() -> None:
    assert read_policy_text(write_policy(HELD)) == HELD


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"phases": [], "holds": []}'])
def test_a_damaged_text_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^policy: "):
        read_policy_text(text)


def test_the_hash_depends_on_what_the_part_says_and_not_on_where_it_is() -> None:
    phases = tuple(replace(phase) for phase in NOTICE.phases)
    assert PART.hash == PolicyPart(Policy(phases), "other.toml").hash
    assert PART.hash != PolicyPart(HELD, "ringback.toml").hash
    two = Policy(NOTICE.phases, (PhaseHold("before", "AC1"), PhaseHold("before", "AC2")))
    turned = replace(two, holds=two.holds[::-1])  # the first hold decides, so their order matters
    assert PolicyPart(two, "").hash != PolicyPart(turned, "").hash


def test_a_version_of_a_part_has_its_policy_origin_and_hash() -> None:
    version = PolicyVersion.of_part(PART, 3, AT)
    assert version == PolicyVersion(3, NOTICE, AT, "ringback.toml", PART.hash)
    assert str(version) == "version 3 (from ringback.toml, 2027-06-01T12:00:00Z)"


def test_a_part_is_behind_a_version_with_another_policy() -> None:
    newest = PolicyVersion(3, HELD, AT, OPERATOR)
    assert newest.why_behind(PART, 1) == (
        "ringback.toml is behind: it has the policy of version 1, and version 3 (from the operator,"
        " 2027-06-01T12:00:00Z) is in force; `ringback policy set file` puts a file's policy in"
        " force; otherwise write the one in force (`ringback policy show`) into the settings file"
    )


def test_a_part_is_not_behind_a_version_with_the_same_policy() -> None:
    assert PolicyVersion(3, NOTICE, AT, OPERATOR).why_behind(PART, 1) is None
