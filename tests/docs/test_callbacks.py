"""The documents show the callbacks and triggers that the code has."""

import re
from pathlib import Path

import pytest

from ringback.cli.triggers.table import TRIGGERS, Trigger
from ringback.core.events import Event
from ringback.core.payload import PARAMETERS
from ringback.core.scenario import SCENARIOS, CarrierFailure, Step
from ringback.core.supersim.events import (
    EsimProfileChanged,
    IpCommandChanged,
    SimUpdated,
    SmsCommandChanged,
)

ROOT = Path(__file__).parents[2]
CAPTURES = ROOT / "tests/golden/captures"
PAGE = (ROOT / "docs/callbacks.md").read_text("utf-8")
REFERENCE = (ROOT / "docs/reference.md").read_text("utf-8")
SECTIONS: dict[str, type[Event]] = {
    "SIM update": SimUpdated,
    "SMS Commands": SmsCommandChanged,
    "IP Commands": IpCommandChanged,
    "eSIM Profiles": EsimProfileChanged,
}
SHOWN: list[tuple[str, str]] = re.findall(r"<!-- (.*?) -->\n```\n(.*?)\n```", PAGE, re.DOTALL)
NOT_TOLD = {Step.END_SETTINGS}
"""The steps that can fail and have no callback."""


def section(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize("title", SECTIONS)
def test_each_parameter_stands_in_its_table_in_its_order(title: str) -> None:
    named = re.findall(r"^\| `(\w+)` \|", section(title), re.MULTILINE)
    assert named == [name for name, _ in PARAMETERS[SECTIONS[title]]]


def test_each_kind_of_callback_has_a_section() -> None:
    assert set(SECTIONS.values()) == set(PARAMETERS)


@pytest.mark.parametrize("shown", SHOWN, ids=lambda shown: shown[0])
def test_each_request_is_shown_as_it_is_captured(shown: tuple[str, str]) -> None:
    what, text = shown
    name, _, part = what.partition(" ")
    captured = (CAPTURES / f"{name}.http").read_bytes().decode().replace("\r\n", "\n")
    head, _, body = captured.partition("\n\n")
    expected = body if part == "body" else captured.strip()
    assert head.startswith(("GET ", "POST "))
    assert text.replace("\n&", "&") == expected


def test_all_six_callbacks_are_shown() -> None:
    shown = " ".join(what for what, _ in SHOWN)
    for each in (
        "inactive",
        "sms-sent",
        "sms-received",
        "ip-sent",
        "ip-received",
        "esim-available",
    ):
        assert f"post-{each}" in shown


def test_the_first_table_names_a_trigger_for_each_of_the_six() -> None:
    named = re.findall(r"\| `ringback trigger ([\w.]+)` \|", PAGE)
    assert len(named) == 6
    assert set(named) <= set(TRIGGERS)


@pytest.mark.parametrize("trigger", TRIGGERS.values(), ids=TRIGGERS)
def test_each_trigger_is_in_the_reference_as_its_list_has_it(trigger: Trigger) -> None:
    told = (" ".join(map("=".join, told.items())) for told in trigger.calls_back)
    told_by = "; ".join(f"`{each}`" for each in told)
    assert f"\n| `{trigger.name}` | {trigger.words} | {told_by} |\n" in REFERENCE


def test_each_code_that_a_scenario_fails_with_is_explained() -> None:
    codes = {
        str(ending.code)
        for scenario in SCENARIOS.values()
        for step, ending in scenario.endings.items()
        if isinstance(ending, CarrierFailure) and step not in NOT_TOLD
    }
    explained = re.findall(r"^\| `(\d+)` \|", PAGE, re.MULTILINE)
    assert set(explained) == codes
