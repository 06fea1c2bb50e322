"""Options that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from ringback.core.callback_url import CallbackUrl
from ringback.core.errors import InvalidCallbackUrl
from ringback.settings import DATA, Setting, SettingsCommand, settings_of

F = TypeVar("F", bound=Callable[..., None])


def data_folder(help_: str) -> Callable[[F], F]:
    """Return the option that names a data folder, for a command that has no other settings."""
    return click.option(
        "--data",
        type=click.Path(file_okay=False, path_type=Path),
        envvar=DATA.variable,
        default=DATA.defaults[SettingsCommand.SERVE],
        show_default=True,
        metavar=DATA.metavar,
        help=help_,
    )


data_option = data_folder("The data folder of the `ringback dev` to ask.")


accept_data_loss_option = click.option(
    "--accept-data-loss",
    is_flag=True,
    help="Start although data that was here is missing or damaged.",
)


def read_url(_ctx: click.Context, _param: click.Parameter, text: str | None) -> CallbackUrl | None:
    """Return the callback URL that an option or an argument gives, where it is given."""
    if text is None:
        return None
    try:
        return CallbackUrl.parse(text)
    except InvalidCallbackUrl as refusal:
        raise click.BadParameter(refusal.message) from refusal


def settings_options(command: SettingsCommand) -> Callable[[F], F]:
    """Return what gives a command a flag for each of its settings, and one for their file."""

    def give(function: F) -> F:
        function = click.option(
            "--settings",
            metavar="FILE",
            help="A TOML file with settings, phases, holds and shadows.",
        )(function)
        for setting in reversed([one for one in settings_of(command) if one.has_flag]):
            default = setting.defaults[command]
            shown = f"  [default: {default}]" if default else ""
            function = click.option(
                setting.flag,
                setting.name,
                metavar=setting.metavar,
                help=setting.help + shown,
                **_without_value(setting),
            )(function)
        return function

    return give


def _without_value(setting: Setting) -> dict[str, Any]:
    """Return what lets a flag that says yes or no stand alone, for yes."""
    return {"is_flag": False, "flag_value": "yes"} if setting.is_yes_or_no else {}
