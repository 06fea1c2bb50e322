"""What the site's recordings make of the text of a terminal, and which pictures its pages have."""

import json
import re
from pathlib import Path

from docs_build.runs import Recording
from docs_build.site import SCREENSHOTS
from ringback.console.visit import PAGES

DOCS = Path(__file__).parents[2] / "docs"


def a_recording(*pieces: tuple[float, str]) -> Recording:
    return Recording("A run", list(pieces))


def test_colours_become_classes_and_what_html_means_is_escaped() -> None:
    html = a_recording((0, "\x1b[1m<a>\x1b[0m "), (1.5, "\x1b[32mright")).as_html(plays=False)
    assert '<span class="bold">&lt;a&gt;</span> <span class="green">right</span></pre>' in html


def test_a_colour_goes_on_in_the_next_piece_and_each_piece_of_a_cast_has_its_time() -> None:
    html = a_recording((0.25, "\x1b[31mno"), (2, "pe")).as_html(plays=True)
    assert '<span data-at="250"><span class="red">no</span></span>' in html
    assert '<span data-at="2000"><span class="red">pe</span></span>' in html


def test_a_carriage_return_overwrites_its_line() -> None:
    assert ">one&#10;3 of 3</pre>" in a_recording((0, "one\n1 of 3\r3 of 3")).as_html(plays=False)


def test_no_empty_line_ends_the_html_within_a_page() -> None:
    assert "\n" not in a_recording((0, "one\n\n\ntwo\n")).as_html(plays=True)


def test_an_asciicast_has_a_head_and_an_event_for_each_piece() -> None:
    head, *events = a_recording((0, "one\n"), (1.23456, "two")).as_asciicast().splitlines()
    assert json.loads(head) == {"version": 2, "width": 100, "height": 30, "title": "A run"}
    assert [json.loads(event) for event in events] == [[0, "o", "one\r\n"], [1.235, "o", "two"]]


def test_each_screenshot_has_one_place_and_says_what_it_shows() -> None:
    text = "".join(page.read_text("utf-8") for page in DOCS.rglob("*.md"))
    places = re.findall(r"^<!-- screenshot: ([\w-]+) -->$", text, re.MULTILINE)
    assert sorted(places) == sorted(SCREENSHOTS)
    assert all(len(words) > 30 for _, words in SCREENSHOTS.values())


def test_each_page_of_the_console_has_a_section_and_a_picture() -> None:
    sections = (DOCS / "console.md").read_text("utf-8").split("\n## ")
    for page in PAGES:
        (section,) = [each for each in sections if each.startswith(f"{page.name}\n")]
        assert "<!-- screenshot: console-" in section, page.name
        assert "The same: [`ringback " in section, page.name
