"""What all commands have in common: their help, colours, suggestions and errors."""

import json
from collections.abc import Iterator, Mapping
from typing import Final

import click
import pytest
from click.testing import CliRunner, Result

from ringback.cli.base_command import Command, Group
from ringback.cli.main import main

WIDTH: Final = 80


def paths(group: Group = main, *path: str) -> Iterator[tuple[str, ...]]:
    """Yield the words that call each command, without `ringback`."""
    yield path
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        assert isinstance(command, Command)
        if isinstance(command, Group):
            yield from paths(command, *path, name)
        else:
            yield (*path, name)


def run(*arguments: str, env: Mapping[str, str] | None = None, color: bool = False) -> Result:
    runner = CliRunner(env={"NO_COLOR": None, **(env or {})})
    return runner.invoke(main, arguments, prog_name="ringback", color=color)


def test_an_unknown_command_is_answered_with_similar_ones() -> None:
    result = run("lisen")
    assert result.exit_code == 2
    assert "No such command 'lisen'. (Did you mean one of: 'links', 'listen'" in result.stderr


def test_an_error_of_a_subcommand_is_one_line_on_stderr() -> None:
    result = run("callbacks", "list", "--data", "not-there")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("ringback: there is no not-there/dev.json")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("callbacks", "list", "--data", "not-there"), 1, "there is no not-there/dev.json"),
        (("callbacks", "list", "--limit", "many"), 2, "'many' is not a valid integer range"),
        (("callbacks", "lst"), 2, "No such command 'lst'."),
    ],
)
def test_with_json_every_error_is_one_json_object_on_stderr(
    arguments: tuple[str, ...], code: int, words: str
) -> None:
    result = run(*arguments, "--json")
    assert (result.exit_code, result.stdout) == (code, "")
    error = json.loads(result.stderr)
    assert error["exit_code"] == code
    assert words in error["error"]


@pytest.mark.parametrize(
    ("arguments", "env", "is_coloured"),
    [
        ((), {}, True),
        ((), {"NO_COLOR": "1"}, False),
        (("--color", "never"), {}, False),
        (("--color", "always"), {"NO_COLOR": "1"}, True),
    ],
)
def test_colours_are_left_out_where_they_are_not_wanted(
    arguments: tuple[str, ...], env: Mapping[str, str], *, is_coloured: bool
) -> None:
    result = run("trigger", "--list", *arguments, env=env, color=True)
    assert ("\x1b[" in result.stdout) == is_coloured


def test_a_pipe_gets_colours_only_on_request() -> None:
    assert "\x1b[" not in run("trigger", "--list").stdout
    assert "\x1b[" in run("trigger", "--list", "--color", "always").stdout


@pytest.mark.parametrize("path", [*paths()], ids=lambda path: " ".join(path) or "ringback")
def test_a_help_text_fits_80_columns_and_cuts_no_line_off(path: tuple[str, ...]) -> None:
    lines = run(*path, "--help").stdout.splitlines()
    # The usage line may end in `...`, for arguments that can be repeated; only click's list of
    # subcommands, which cuts off long descriptions, ends other lines so.
    usage, *others = lines
    assert usage.startswith("Usage: ")
    assert [line for line in lines if len(line) > WIDTH] == []
    assert [line for line in others if line.endswith("...")] == []
