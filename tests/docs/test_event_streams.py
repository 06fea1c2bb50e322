"""The page about event streams shows the types, fields and errors of events that the code has."""

import json
import re
from pathlib import Path
from typing import Any

from ringback.core.sims.scenario import SCENARIOS, CarrierFailure
from ringback.core.streams.event_schema import SUMS, schema_of
from ringback.core.streams.event_types import StreamEventType
from ringback.core.supersim.connection_event import REFUSED_STATUSES, type_of_failure
from ringback.core.supersim.usage_windows import UPDATE_INTERVAL
from tests.unit.core.supersim.test_connection_event import an_event_about

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/event-streams.md").read_text("utf-8")
CAPTURES = ROOT / "tests/golden/stream_captures"
TYPES = [type_.short for type_ in StreamEventType]


def rows(heading: str) -> list[list[str]]:
    """Return the cells of each row of the table that begins with these headings."""
    lines = PAGE.partition(f"| {heading} |")[2].splitlines()[2:]
    table = lines[: next(at for at, line in enumerate(lines) if not line.startswith("|"))]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in table]


def test_the_page_has_all_types() -> None:
    assert [name.strip("`") for name, _ in rows("type | when it is published")] == TYPES
    assert UPDATE_INTERVAL.total_seconds() == 6 * 60


def test_the_page_has_all_fields_and_says_which_are_only_in_version_2() -> None:
    fields = rows("field | in which types | meaning")
    assert [name.strip("`") for name, _, _ in fields] == list(_in_order())
    new = [name.strip("`") for name, _, meaning in fields if meaning.endswith("only in version 2")]
    assert new == list(SUMS)


def test_a_field_is_in_the_types_that_the_page_names() -> None:
    for name, types, _ in rows("field | in which types | meaning"):
        field = name.strip("`")
        having = {one.short for one in StreamEventType if _value_of(field, one) is not None}
        named = set(re.findall(r"`([a-z.-]+)`", types))
        if types == "all" or field == "data_modifier":
            continue
        if types == "data sessions that have begun":
            named = {f"data-session.{kind}" for kind in ("started", "updated", "ended")}
        elif types == "`data-session`":
            named = {one for one in TYPES if one.startswith("data-session")}
        elif types.startswith("all but"):
            named = {*TYPES} - named
        assert having == named, field


def test_the_page_has_all_errors() -> None:
    failures = [*REFUSED_STATUSES.values()]
    for one in SCENARIOS.values():
        results = (one.attachment, one.data_session)
        failures += [result for result in results if isinstance(result, CarrierFailure)]
    expected = [
        [str(one.code), one.message, f"`{type_of_failure(one).short}`"]
        for one in sorted(failures, key=lambda one: one.code)
    ]
    assert rows("code | message | type") == expected


def test_the_example_is_an_event_as_it_is_captured() -> None:
    (text,) = re.findall(r"test_event_streams\.py -->\n```json\n(.*?)```", PAGE, re.DOTALL)
    captured = (CAPTURES / "kore-post-data-session.ended.http").read_bytes()
    _, _, body = captured.partition(b"\r\n\r\n")
    assert json.loads(text) == json.loads(body)
    assert list(json.loads(text)[0]["data"]) == list(json.loads(body)[0]["data"])


def _in_order() -> list[str]:
    """Return all fields in the order in which events have them."""
    known, order = schema_of(2)["properties"], list[str]()
    for type_ in (StreamEventType.SESSION_ENDED, StreamEventType.SESSION_FAILED):
        names = list(json.loads(an_event_about(type_, **_modified(type_)).data))
        order += [name for name in names if name not in order]
    assert set(order) == set(known)
    return order


def _modified(type_: StreamEventType) -> dict[str, Any]:
    return {"modifier": "blocked"} if type_ is StreamEventType.SESSION_ENDED else {}


def _value_of(field: str, type_: StreamEventType) -> object:
    return json.loads(an_event_about(type_).data).get(field)
