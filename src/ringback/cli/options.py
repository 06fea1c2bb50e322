"""Options that several commands share, and functions that make and read options."""

import sys
from collections.abc import Callable, Coroutine
from functools import wraps
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from ringback.cli.base_command import option, option_group
from ringback.cli.output import Output, say
from ringback.core.errors import InvalidCallbackUrl
from ringback.settings.setting_definitions import (
    DATA,
    SEAL_KEY,
    SEAL_KEY_FILE,
    SETTING_GROUPS,
    ServerCommand,
    Setting,
    settings_of,
)

if TYPE_CHECKING:
    from ringback.core.callback_urls.callback_url import CallbackUrl
    from ringback.core.sources.source_definition import Sources

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., None])
Option = Callable[[F], F]
"""A decorator that adds one or more options to a command."""

METHODS: Final = ("POST", "GET")

# ---- how options are made ------------------------------------------------------------------------


def with_options(*options: Option[Any]) -> Option[F]:
    """Return a decorator that adds these options to a command, in this order."""

    def give(command: F) -> F:
        for add_option in reversed(options):
            command = add_option(command)
        return command

    return give


def handing(name: str, make: Callable[..., Any], *options: Option[Any]) -> Option[Any]:
    """Return a decorator that adds options to a command and makes one argument of their values.

    `make` is called with the options that its signature names. The command is called with the
    result, as the argument `name`, and with all other options.
    """
    taken = tuple(signature(make).parameters)

    def give(command: Callable[..., Any]) -> Callable[..., Any]:
        @with_options(*options)
        @wraps(command)
        def run(**given: Any) -> Any:
            made = make(**{option: given.pop(option) for option in taken if option in given})
            return command(**given, **{name: made})

        return run

    return give


def run_async(command: Callable[..., Coroutine[Any, Any, int | None]]) -> Callable[..., None]:
    """Turn an async function into a command; the function may return an exit code."""

    @wraps(command)
    def run(**options: Any) -> None:
        import asyncio  # not at the top, since most commands start faster without it

        if code := asyncio.run(command(**options)):
            sys.exit(code)

    return run


def read_by(
    parse: Callable[[str], T],
) -> Callable[[click.Context, click.Parameter, str | None], T | None]:
    """Return a click callback that parses an option's value; a ValueError is a usage error."""

    def read(_ctx: click.Context, _param: click.Parameter, text: str | None) -> T | None:
        try:
            return None if text is None else parse(text)
        except ValueError as problem:
            raise click.BadParameter(str(problem)) from problem
        except InvalidCallbackUrl as refusal:
            raise click.BadParameter(refusal.message) from refusal

    return read


def json_flag(help_: str) -> Option[F]:
    """Return the flag `--json`; the command gets it as the argument `as_json`."""
    return option("--json", "as_json", is_flag=True, help=help_)


def printing(help_: str) -> Option[Any]:
    """Return a decorator that adds `--json` to a command, and prints the Output it returns."""

    def give(command: Callable[..., Output]) -> Callable[..., None]:
        @json_flag(help_)
        @wraps(command)
        def run(*, as_json: bool, **options: Any) -> None:
            record, words = command(**options)
            say(record, words, as_json=as_json)

        return run

    return give


def file_option(flag: str, help_: str, **more: Any) -> Option[F]:
    """Return an option whose value is the path of a file."""
    path = click.Path(dir_okay=False, path_type=Path)
    named: dict[str, Any] = {"metavar": "FILE", **more}
    return option(flag, type=path, help=help_, **named)


def variable_option(flag: str, metavar: str, help_: str, **more: Any) -> Option[F]:
    """Return an option that can also be set by an environment variable, RINGBACK_ and its name."""
    variable = f"RINGBACK_{flag.removeprefix('--').replace('-', '_').upper()}"
    return option(flag, envvar=variable, metavar=metavar, help=help_, **more)


def method_option(help_: str) -> Option[F]:
    """Return the option for the HTTP method of a callback."""
    methods = click.Choice(METHODS)
    return option("--method", type=methods, default="POST", show_default=True, help=help_)


# ---- options for callbacks and settings ----------------------------------------------------------


def _parse_url(text: str) -> "CallbackUrl":
    from ringback.core.callback_urls.callback_url import CallbackUrl

    return CallbackUrl.parse(text)


read_url: Final = read_by(_parse_url)

_ONE_OBJECT: Final = "Print the result as one JSON object instead of text."
_THE_ANSWER: Final = "Print the server's answer as JSON instead of text."
json_option: Final[Option[Any]] = json_flag(_ONE_OBJECT)
json_lines_option: Final[Option[Any]] = json_flag(
    "Print JSON instead of text: one object per line."
)
json_answer_option: Final[Option[Any]] = json_flag(_THE_ANSWER)
prints_record: Final = printing(_ONE_OBJECT)
prints_answer: Final = printing(_THE_ANSWER)

limit_option: Final = option(
    "--limit",
    type=click.IntRange(1, 1000),
    metavar="N",
    default=20,
    show_default=True,
    help="Maximum number of results to show, from 1 to 1000; the newest are shown.",
)
accept_data_loss_option = option(
    "--accept-data-loss",
    is_flag=True,
    help="Start the server even if stored data was lost or damaged since the last start. Without"
    " this option, it then refuses to start.",
)
serve_copied_option = option(
    "--serve-copied",
    is_flag=True,
    help="Start the server even if `ringback db copy` has copied the data to another place. Then"
    " there are two sets of data that differ.",
)


def data_folder(
    help_: str, *, default: str | None = DATA.default_of(ServerCommand.SERVE)
) -> Option[F]:
    """Return the option `--data` for a command that takes no other setting."""
    return option(
        "--data",
        type=click.Path(file_okay=False, path_type=Path),
        envvar=DATA.variable,
        default=default,
        show_default=True,
        metavar=DATA.form.metavar,
        help=help_,
    )


data_option: Final[Option[Any]] = data_folder("Data folder of the running `ringback dev`.")


def seal_key_file_option(of_what: str = "") -> Option[F]:
    """Return the option for the file with the key that encrypts the stored secrets."""
    return file_option(
        SEAL_KEY_FILE.flag,
        f"{of_what}{SEAL_KEY_FILE.help} The environment variable {SEAL_KEY.variable} can hold the"
        " key itself instead.",
        envvar=SEAL_KEY_FILE.variable,
        metavar=SEAL_KEY_FILE.form.metavar,
    )


def sources_of_file(path: str | None) -> "Sources":
    """Return the built-in sources and those that a settings file defines; None for no file.

    Raises ConfigurationError if the file can't be read, or a source in it is invalid.
    """
    from ringback.core.sources.source_definition import BUILT_IN
    from ringback.settings.callback_sources import ConfiguredCallbackSources
    from ringback.settings.file import SettingsFile

    return ConfiguredCallbackSources(SettingsFile.read(path)).sources if path else BUILT_IN


def settings_options(command: ServerCommand) -> Option[F]:
    """Return a decorator that adds a flag for each setting of a command, and one for their file."""
    file = option(
        "--settings",
        metavar="FILE",
        help="TOML file with settings. It can also define the phases of the transition from twilio"
        " to kore, holds (keep URLs in a phase) and shadows (send test copies of callbacks).",
    )
    own = [setting for setting in settings_of(command) if setting.has_flag]
    groups = (
        option_group(title, *(_settings_option(setting, command) for setting in flags))
        for title, settings in SETTING_GROUPS.items()
        if (flags := [setting for setting in settings if setting in own])
    )
    return with_options(option_group("Settings file", file), *groups)


def _settings_option(setting: Setting, command: ServerCommand) -> Option[Any]:
    default = setting.default_of(command)
    shown = f"  [default: {default}]" if default else ""
    # A yes-or-no flag without a value means yes.
    alone: dict[str, Any] = {"is_flag": False, "flag_value": "yes"} if setting.is_yes_or_no else {}
    return option(
        setting.flag, setting.name, metavar=setting.form.metavar, help=setting.help + shown, **alone
    )
