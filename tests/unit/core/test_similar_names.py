"""Suggestions for names that do not exist, among those of triggers and scenarios."""

import pytest

from ringback.core.similar_names import similar_names, suggestion
from ringback.core.sims.scenario import SCENARIOS
from ringback.triggers import TRIGGERS


@pytest.mark.parametrize(
    ("name", "similar"),
    [
        ("sim.deactivated", ["sim.inactive"]),
        ("sim.activated", ["sim.active"]),
        ("sim.suspended", ["sim.inactive"]),
        ("sim.deactivatd", ["sim.inactive"]),
        ("SIM.Active", ["sim.active"]),
        ("active sim", ["sim.active"]),
        ("wireless.inactive", ["wireless.deactivated", "wireless.suspended"]),
        ("message.error", ["sms.failed"]),
        ("smssent", ["sms.sent"]),
        ("esim", ["esim.available", "esim.failed", "esim.downloaded"]),
        ("nonsense", []),
        ("", []),
        ("...", []),
    ],
)
def test_triggers_with_the_same_meaning_come_first(name: str, similar: list[str]) -> None:
    assert similar_names(name, TRIGGERS) == similar


@pytest.mark.parametrize(
    ("name", "similar"),
    [
        ("slwo", ["slow"]),
        ("sleeping", ["asleep"]),
        ("offline", ["unattached"]),
        ("sms-failed", ["sms-fails"]),
        ("failure", ["update-fails", "attach-fails", "session-fails"]),
        ("rain", []),
    ],
)
def test_scenarios_are_found_by_synonyms_and_typos(name: str, similar: list[str]) -> None:
    assert similar_names(name, SCENARIOS) == similar


def test_several_suggestions_are_one_question() -> None:
    asked = suggestion("wireless.inactive", TRIGGERS)
    assert asked == "; did you mean wireless.deactivated or wireless.suspended?"
    assert suggestion("nonsense", TRIGGERS) == ""


@pytest.mark.parametrize("name", ["RINGBACK_PROT", "ringback_port", "Ringback_Prot"])
def test_the_case_of_a_name_plays_no_part(name: str) -> None:
    assert similar_names(name, ["RINGBACK_PORT", "RINGBACK_TLS_CERT"]) == ["RINGBACK_PORT"]
