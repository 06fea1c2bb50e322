"""`ringback diff`, against an emulator that has sent a callback from each source."""

import json
import re
from collections.abc import Iterator
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from ringback.cli import comparison_output
from ringback.cli.comparison_output import comparison_lines, terminal_width
from ringback.cli.main import main
from ringback.portal_client import PortalClient
from ringback.testing import Emulator

MARKS = {"=": "same", "≠": "differs", "→": "renamed", "-": "removed", "+": "added"}


@pytest.fixture(scope="module")
def ringback() -> Iterator[Emulator]:
    with Emulator() as emulator:
        client = PortalClient(emulator.base_url, emulator.account_sid, emulator.auth_token)
        for status, cbs in (("inactive", None), ("active", "kore")):
            url = emulator.receiver.url("/path?foo=bar", cbs=cbs)
            form = {"Status": status, "CallbackUrl": url}
            client.for_api("supersim/v1").post("Sims", emulator.sim_sid, form=form)
            emulator.advance("1s")
        yield emulator


def sids(ringback: Emulator) -> list[str]:
    """Return the SIDs of the callback from twilio and of the one from kore."""
    return [callback.sid for callback in ringback.callbacks()]


def run(ringback: Emulator, *words: str, color: bool = False) -> Result:
    who = ("--account-sid", ringback.account_sid, "--auth-token", ringback.auth_token)
    words = ("diff", *words, "--server", ringback.base_url, *who)
    return CliRunner().invoke(main, words, color=color)


def comparison_of(ringback: Emulator, *words: str) -> dict[str, Any]:
    return json.loads(run(ringback, *words, "--json").output)


def marks(output: str) -> list[str]:
    """Return the meanings of the marks in the table and in the line below it."""
    table = output.partition("\nHeaders: ")[0]
    found = [re.match(r"  ([=≠→+-]) \S", line) for line in table.splitlines()]
    return [MARKS[match[1]] for match in found if match]


def test_the_newest_callback_is_compared_if_none_is_named(ringback: Emulator) -> None:
    _, kore = sids(ringback)
    assert run(ringback).output.startswith(f"{kore} comes from kore. ")


def test_without_a_callback_there_is_nothing_to_compare() -> None:
    with Emulator() as emulator:
        result = run(emulator)
    assert result.exit_code == 1
    assert "there is no callback to compare yet; update a SIM" in result.output


def test_one_callback_is_shown_as_both_sources_send_it(ringback: Emulator) -> None:
    twilio, _ = sids(ringback)
    output = run(ringback, twilio).output
    assert output.startswith(
        f"{twilio} comes from twilio. The request of kore is computed with the\n"
        "current secrets; it was not sent.\n"
    )
    assert re.search(r"^    twilio, sent \S{20} +kore, not sent$", output, re.MULTILINE)
    assert "Kore-Idempotency-Token: (34 characters, made" in output
    assert "\nHeaders: 2 renamed, 1 removed, 1 added, 3 differ; the body is the same.\n" in output
    assert "  twilio: X-Twilio-Signature is HMAC-SHA1, in Base64\n" in output
    assert "  kore: Kore-Signature is SHA-256, in hex\n" in output
    assert "\n  - Check Kore-Signature, computed with the account's webhook secret." in output
    for secret in (ringback.auth_token, ringback.kore_secret):
        assert secret not in output


def test_each_header_has_the_mark_of_its_change(ringback: Emulator) -> None:
    twilio, _ = sids(ringback)
    changes = [header["change"] for header in comparison_of(ringback, twilio)["headers"]]
    # First the request line; at the end the body, and the line that explains the marks.
    assert marks(run(ringback, twilio).output) == ["same", *changes, "same", "same"]


def test_two_callbacks_are_shown_as_they_were_sent_and_twilio_is_on_the_left(
    ringback: Emulator,
) -> None:
    twilio, kore = sids(ringback)
    output = run(ringback, kore, twilio).output
    assert output == run(ringback, twilio, kore).output
    assert output.startswith(f"{twilio} from twilio, and {kore} from kore.\n")
    assert re.search(r"^  ≠ SimStatus=inactive +SimStatus=active$", output, re.MULTILINE)
    assert re.search(r"^  = ApiVersion=v1 +ApiVersion=v1$", output, re.MULTILINE)
    assert "the body differs only in SimStatus, and Content-Length because" in " ".join(
        output.split()
    )


def test_another_source_can_be_named(ringback: Emulator) -> None:
    _, kore = sids(ringback)
    named, usual = (run(ringback, kore, *more).output for more in (("--source", "twilio"), ()))
    assert named == usual
    refused = run(ringback, kore, "--source", "kore")
    assert refused.exit_code == 1
    assert refused.stderr == (
        f"ringback: {kore} came from kore itself; compare it with another source\n"
    )


def test_programs_get_the_answer_of_the_api(ringback: Emulator) -> None:
    twilio, kore = sids(ringback)
    client = PortalClient(ringback.base_url, ringback.account_sid, ringback.auth_token)
    answer = client.get("callbacks", twilio, "comparison", query={"Other": kore})
    assert comparison_of(ringback, twilio, kore) == answer


def test_the_example_of_the_notice_needs_no_callback() -> None:
    with Emulator() as empty:
        said = run(empty, "--example").output
        assert comparison_of(empty, "--example")["first"]["callback_sid"] is None
        for beside in (["CB1"], ["--source", "kore"]):
            refused = run(empty, "--example", *beside)
            assert (refused.exit_code, "leave out the others" in refused.stderr) == (2, True)
    assert said.startswith("The example of KORE's notice, as both sources send it, with made-up")
    assert marks(said).count("renamed") == 2
    assert "RQa48ec9b6ef475034c35566c02b654243" in said


def test_an_unknown_callback_is_refused(ringback: Emulator) -> None:
    refused = run(ringback, "CB1")
    assert refused.exit_code == 1
    assert refused.stderr == "ringback: there is no callback with the SID 'CB1'\n"


def test_colours_are_beside_the_marks_and_nothing_is_lost_without_them(ringback: Emulator) -> None:
    twilio, _ = sids(ringback)
    coloured, plain = run(ringback, twilio, color=True).output, run(ringback, twilio).output
    assert "\x1b[36m  → X-Twilio-Signature:" in coloured
    assert click.unstyle(coloured) == plain


# ---- layout --------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [80, 100, 160])
def test_no_line_is_wider_than_the_terminal_and_no_character_is_lost(
    ringback: Emulator, width: int
) -> None:
    twilio, kore = sids(ringback)
    for words in ((twilio,), (twilio, kore)):
        comparison = comparison_of(ringback, *words)
        lines = list(map(click.unstyle, comparison_lines(comparison, width=width)))
        assert max(map(len, lines)) <= width
        together = "".join("".join(lines).split())
        for step in comparison["second"]["signature"]["steps"]:
            assert (step["value"] or "") in together


def test_the_left_column_has_the_first_request_and_the_right_one_the_second(
    ringback: Emulator,
) -> None:
    comparison = comparison_of(ringback, *sids(ringback))
    lines = list(map(click.unstyle, comparison_lines(comparison, width=100)))
    table, middle = lines[1 : lines.index("")], lines[0].index("kore")
    left, right = (
        "".join(line[part].strip() for line in table)
        for part in (slice(4, middle), slice(middle, None))
    )
    for header in comparison["headers"]:
        for which, column in (("first", left), ("second", right)):
            value = header[which]["value"] if header[which] else "(not sent)"
            assert value.replace(" ", "") in column.replace(" ", "")


def test_what_could_steer_a_terminal_is_escaped(ringback: Emulator) -> None:
    comparison = comparison_of(ringback, *sids(ringback))
    comparison["first"]["signature"]["steps"][0]["value"] = "a\x1b[2J\nb"
    lines = list(map(click.unstyle, comparison_lines(comparison, width=100)))
    assert r"       a\x1b[2J\nb" in lines


def test_a_body_of_two_callbacks_can_lack_parameters_and_repeat_them(ringback: Emulator) -> None:
    comparison = comparison_of(ringback, *sids(ringback))
    comparison["first"]["body"], comparison["second"]["body"] = "a=1&a=2&b=1", "a=1&c=1"
    lines = map(click.unstyle, comparison_lines(comparison, width=100))
    rows = [line.split() for line in lines if re.match(r"  [=+-] .*\b[abc]=[12]$|  - [ab]=", line)]
    assert rows == [
        ["=", "a=1", "a=1"],
        ["-", "a=2", "(not", "sent)"],
        ["+", "(not", "sent)", "c=1"],
        ["-", "b=1", "(not", "sent)"],
    ]


def test_the_parameters_of_json_are_beside_those_of_a_form(ringback: Emulator) -> None:
    comparison = comparison_of(ringback, *sids(ringback))
    comparison["first"]["body"] = "Note=%C3%A9&Tag=b&Tag=a"
    comparison["second"]["body"] = '{"Note":"é & ü","Tag":["b","a"],"New":""}'
    comparison["body_is_same"] = False
    rows = [click.unstyle(line).split() for line in comparison_lines(comparison, width=120)]
    for row in (
        ["≠", "Note=%C3%A9", '"Note":"é', "&", 'ü"'],
        ["≠", "Tag=b", '"Tag":["b","a"]'],
        ["-", "Tag=a", "(not", "sent)"],
        ["+", "(not", "sent)", '"New":""'],
    ):
        assert row in rows


def test_requests_of_one_source_are_told_apart_by_their_callbacks(ringback: Emulator) -> None:
    comparison = comparison_of(ringback, *sids(ringback))
    first, second = comparison["first"], comparison["second"]
    second["source"], comparison["receiver_changes"] = first["source"], []
    lines = list(map(click.unstyle, comparison_lines(comparison, width=100)))
    assert lines[0].split()[0] == f"{first['callback_sid']},"
    assert lines[-1] == "  - Nothing: both requests come from twilio."


def test_a_request_without_a_body_shows_none(ringback: Emulator) -> None:
    comparison = comparison_of(ringback, *sids(ringback))
    comparison["first"]["body"] = comparison["second"]["body"] = ""
    comparison["body_is_same"] = True
    lines = list(map(click.unstyle, comparison_lines(comparison, width=100)))
    assert not any("SimSid=" in line for line in lines[: lines.index("")])


@pytest.mark.parametrize(
    ("is_terminal", "columns", "width"), [(False, 200, 100), (True, 60, 80), (True, 132, 132)]
)
def test_the_width_is_the_terminals_and_at_least_80(
    monkeypatch: pytest.MonkeyPatch, is_terminal: bool, columns: int, width: int
) -> None:
    monkeypatch.setattr(comparison_output.sys.stdout, "isatty", lambda: is_terminal, raising=False)
    monkeypatch.setenv("COLUMNS", str(columns))
    assert terminal_width() == width
