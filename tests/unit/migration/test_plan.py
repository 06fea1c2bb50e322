import json
from pathlib import Path
from typing import Any

import pytest

from ringback.core.errors import ConfigurationError
from ringback.core.policy.source_policy import Source
from ringback.migration.filters import UrlFilter
from ringback.migration.plan import MigrationPlan, make_plan
from ringback.migration.url_source import QuoteChange, UrlEntry, UrlLocation
from tests.unit.migration.url_sources import ACCOUNT, NOW, urls

OTHER = "AC" + "0" * 32
ENTRIES = [
    UrlEntry(
        UrlLocation("fleet 1 SmsCommandsUrl", ACCOUNT), "https://user:secret@a.example/sms#rc=2"
    ),
    UrlEntry(UrlLocation("fleet 1 IpCommandsUrl", ACCOUNT), "https://a.example/ip#cbs=twilio&x"),
    UrlEntry(UrlLocation("fleet 2 SmsCommandsUrl", OTHER), "https://b.example/#cbs=kore"),
    UrlEntry(UrlLocation("fleet 3 SmsCommandsUrl", OTHER), "no URL"),
    UrlEntry(UrlLocation("app.py:3"), "https://c.example/", fixed="it is put together"),
    UrlEntry(UrlLocation("app.py:4"), "https://{c}/", fixed="it has a placeholder"),
]


def plan(
    *selected: str, to: Source = Source.KORE, percent: int = 100, **more: Any
) -> MigrationPlan:
    return make_plan(
        more.get("entries", ENTRIES),
        to=to,
        url_source={"kind": "test"},
        phase="before",
        now=NOW,
        plan_id="p1",
        selections=[UrlFilter.parse(text) for text in selected],
        percent=percent,
    )


def names(found: MigrationPlan) -> list[str]:
    return [edit.place.name for edit in found.edits]


def test_a_plan_has_the_exact_edits_and_counts_what_it_leaves_out() -> None:
    found = plan()
    assert [(edit.old, edit.new) for edit in found.edits] == [
        ("https://a.example/sms#rc=2", "https://a.example/sms#rc=2&cbs=kore"),
        ("https://a.example/ip#cbs=twilio&x", "https://a.example/ip#cbs=kore&x"),
    ]
    assert found.left_out == {
        "no URL that can be called": 1,
        "can't be changed where it stands": 2,
        "asks for it already": 1,
    }


def test_a_plan_can_lead_to_twilio() -> None:
    assert [edit.new for edit in plan(to=Source.TWILIO).edits] == [
        "https://a.example/sms#rc=2&cbs=twilio",
        "https://b.example/#cbs=twilio",
    ]


@pytest.mark.parametrize(
    ("selected", "chosen"),
    [
        (("account=" + ACCOUNT,), 2),
        (("account!=" + ACCOUNT,), 0),
        (("url=https://a.example/*",), 2),
        (("url=https://a.example/",), 0),
        (("url=https://a.example/ip*",), 1),
        (("place=fleet*", "place=*SmsCommandsUrl"), 1),
        (("source=none",), 1),
        (("source=twilio",), 1),
        (("source!=twilio",), 1),
    ],
)
def test_all_conditions_must_hold(selected: tuple[str, ...], chosen: int) -> None:
    assert len(plan(*selected).edits) == chosen


@pytest.mark.parametrize("text", ["", "account", "host=a", "url=", "url~x", "Account=AC1"])
def test_an_empty_condition_is_refused(text: str) -> None:
    with pytest.raises(
        ConfigurationError, match="is not a condition; write account=…, place=…, url=…"
    ):
        UrlFilter.parse(text)


def test_a_larger_share_contains_the_smaller_one() -> None:
    entries = [UrlEntry(UrlLocation(name), url) for name, url in urls(300).items()]
    chosen = [set(names(plan(entries=entries, percent=percent))) for percent in (10, 30, 100)]
    assert chosen[0] < chosen[1] < chosen[2]
    assert [20 < len(chosen[0]) < 40, 70 < len(chosen[1]) < 110, len(chosen[2])] == [
        True,
        True,
        300,
    ]
    moved = [
        UrlEntry(UrlLocation(name), f"{url}&cbs=twilio")
        for name, url in reversed(urls(300).items())
    ]
    assert set(names(plan(entries=moved, percent=10))) == chosen[0]


# ---- the file


@pytest.fixture
def path(tmp_path: Path) -> Path:
    plan("account=" + ACCOUNT).write(tmp_path / "a.plan")
    return tmp_path / "a.plan"


def test_a_plan_is_read_as_it_was_written(path: Path) -> None:
    assert MigrationPlan.read(path) == plan("account=" + ACCOUNT)


def test_a_plan_has_one_edit_on_each_line_and_no_credentials(path: Path) -> None:
    header, *edits = map(json.loads, path.read_text().splitlines())
    assert header["edits"] == len(edits) == 2
    assert edits[0] == {
        "place": "fleet 1 SmsCommandsUrl",
        "account_sid": ACCOUNT,
        "method": "POST",
        "url": "https://a.example/sms#rc=2",
        "new": "https://a.example/sms#rc=2&cbs=kore",
    }
    assert "secret" not in path.read_text()


def test_a_plan_never_overwrites_another_file(path: Path) -> None:
    with pytest.raises(
        ConfigurationError, match="exists already, and may be needed to roll back a move"
    ):
        plan().write(path)


def test_lines_may_be_deleted_by_hand(path: Path) -> None:
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([lines[0], "\n", lines[2]]))
    assert names(MigrationPlan.read(path)) == ["fleet 1 IpCommandsUrl"]


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("ip#cbs=kore&x", "ip#cbs=kore", "this edit was altered"),
        ("ip#cbs=kore&x", "ip#cbs=twilio&x", "this edit was altered"),
        ("//a.example/ip#cbs=twilio", "//u:secret@a.example/ip#cbs=twilio", "was altered"),
        (
            "https://a.example/ip#cbs=twilio",
            "ftp://a.example/ip#cbs=twilio",
            "this line is not a valid edit",
        ),
        ("IpCommandsUrl", "SmsCommandsUrl", "this is a second edit for fleet 1 SmsCommandsUrl"),
        (
            '"POST", "url": "https://a.example/ip',
            '"PUT", "url": "https://a.example/ip',
            "not a valid edit",
        ),
        (
            '{"place": "fleet 1 Ip',
            '["place": "fleet 1 Ip',
            "this line is not one JSON object; delete it, or make a new plan",
        ),
    ],
)
def test_an_invalid_edit_is_refused_by_its_line(path: Path, old: str, new: str, why: str) -> None:
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(ConfigurationError, match=rf"a\.plan:3: .*{why}") as refused:
        MigrationPlan.read(path)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("text", ["", "{}\n", "[]\n", "no JSON\n", '{"ringback_plan": 1}\n'])
def test_a_file_that_is_not_a_plan_is_refused(path: Path, text: str) -> None:
    path.write_text(text)
    with pytest.raises(
        ConfigurationError,
        match=r"a\.plan:1: (this is not a plan|this line is not one JSON object)",
    ):
        MigrationPlan.read(path)


def test_a_plan_whose_target_was_altered_is_refused(path: Path) -> None:
    path.write_text(path.read_text().replace('"to": "kore"', '"to": "twilio"'))
    with pytest.raises(ConfigurationError, match=r"a\.plan:2: this edit was altered"):
        MigrationPlan.read(path)


# ---- callbacks of other services, and quotation marks --------------------------------------------

SIGN_IN = UrlEntry(
    UrlLocation("app.py:7"), "https://a.example/signed-in", service="OAuth: its name"
)
SIM = UrlEntry(UrlLocation("app.py:9"), "https://a.example/sims")


@pytest.mark.parametrize(
    ("selected", "chosen"),
    [
        ((), ["app.py:9"]),
        (("url=https://a.example/*",), ["app.py:9"]),
        (("place=app.py:*",), ["app.py:9"]),
        (("service=none",), ["app.py:9"]),
        (("service!=Stripe",), ["app.py:9"]),
        (("service=OAuth",), ["app.py:7"]),
        (("place=app.py:7",), ["app.py:7"]),
    ],
)
def test_a_callback_of_another_service_moves_only_if_it_is_meant(
    selected: tuple[str, ...], chosen: list[str]
) -> None:
    found = plan(*selected, entries=[SIGN_IN, SIM])
    assert names(found) == chosen


def test_a_plan_counts_the_callbacks_of_other_services() -> None:
    assert plan(entries=[SIGN_IN, SIM]).left_out == {"somebody else's callback": 1}


def test_a_plan_keeps_which_edits_add_quotation_marks(tmp_path: Path) -> None:
    bare = UrlEntry(UrlLocation(".env:1"), "https://a.example/", quotes=QuoteChange.ADD)
    path = tmp_path / "move.plan"
    plan(entries=[bare, SIM]).write(path)
    edits = MigrationPlan.read(path).edits
    assert [edit.quotes for edit in edits] == [QuoteChange.ADD, QuoteChange.NONE]
    assert [edit.back().quotes for edit in edits] == [QuoteChange.REMOVE, QuoteChange.NONE]
    assert [line.count('"quotes"') for line in path.read_text().splitlines()] == [0, 1, 0]


def test_a_plan_whose_edits_remove_quotation_marks_was_altered(tmp_path: Path) -> None:
    path = tmp_path / "move.plan"
    plan(
        entries=[UrlEntry(UrlLocation(".env:1"), "https://a.example/", quotes=QuoteChange.ADD)]
    ).write(path)
    path.write_text(path.read_text().replace('"quotes": "add"', '"quotes": "remove"'))
    with pytest.raises(ConfigurationError, match="this edit was altered"):
        MigrationPlan.read(path)
