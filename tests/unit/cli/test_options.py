"""Flags and variables: of the table of settings, and beside it."""

from collections.abc import Iterator

import click
import pytest

from ringback.cli.main import main
from ringback.cli.options import METHODS
from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.settings.load import FILE_VARIABLE, load
from ringback.settings.setting_definitions import DATA, SETTINGS, ServerCommand, settings_of


def options_of(command: click.Command) -> Iterator[click.Option]:
    """Yield all options of a command, and of those that it groups."""
    context = click.Context(command)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from options_of(inner)
    yield from (option for option in command.params if isinstance(option, click.Option))


# A setting of any other command is one of the servers', and has to be right.
OF_SERVERS = {FILE_VARIABLE, *(setting.variable for setting in SETTINGS)} - {DATA.variable}
VARIABLES = sorted(
    {str(option.envvar) for option in options_of(main) if option.envvar} - OF_SERVERS
)


def test_methods_are_those_of_callbacks() -> None:
    assert tuple(HttpMethod) == METHODS


@pytest.mark.parametrize("command", list(ServerCommand))
def test_a_server_has_a_flag_for_each_of_its_settings_and_for_no_other(
    command: ServerCommand,
) -> None:
    found = main.get_command(click.Context(main), command.value)
    assert found is not None
    names = {name for option in options_of(found) for name in option.opts}
    settings = {setting.flag for setting in settings_of(command) if setting.has_flag}
    others = {"--settings", "--json", "--accept-data-loss", "--color"}
    if command is ServerCommand.SERVE:
        others.add("--serve-copied")
    else:
        others.add("--open")
    assert names == settings | others


@pytest.mark.parametrize("command", list(ServerCommand))
@pytest.mark.parametrize("variable", VARIABLES)
def test_what_other_commands_read_from_the_environment_keeps_no_server_from_starting(
    variable: str, command: ServerCommand
) -> None:
    settings = load({}, {variable: "x"}, command=command)
    assert settings.port == 8080


@pytest.mark.parametrize(
    ("arguments", "given"),
    [
        (["--tls"], "yes"),
        (["--tls", "--tls-port", "8443"], "yes"),
        (["--tls", "yes"], "yes"),
        (["--tls=no"], "no"),
        ([], None),
    ],
)
def test_a_flag_that_says_yes_or_no_says_yes_without_either(
    arguments: list[str], given: str | None
) -> None:
    command = main.get_command(click.Context(main), "dev")
    assert command is not None
    assert command.make_context("dev", arguments).params["tls"] == given


def test_any_other_flag_needs_its_value() -> None:
    command = main.get_command(click.Context(main), "dev")
    assert command is not None
    with pytest.raises(click.BadOptionUsage, match="'--port' requires an argument"):
        command.make_context("dev", ["--port"])


def test_there_are_such_variables() -> None:
    assert DATA.variable in VARIABLES
