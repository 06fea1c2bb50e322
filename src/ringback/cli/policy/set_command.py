"""`ringback policy set`: changes the policy in the settings file, and leaves the rest as it is."""

from collections.abc import Callable
from datetime import datetime
from difflib import unified_diff
from pathlib import Path
from typing import Final

import click

from ringback.cli.base_command import argument, group, option
from ringback.cli.options import handing
from ringback.cli.policy.options import file_named, instant, policy_file_option
from ringback.core.errors import ConfigurationError
from ringback.core.policy.source_policy import PhaseHold
from ringback.runtime.disk_sync import replace_file
from ringback.settings.file import SettingsFile
from ringback.settings.load import FILE_VARIABLE, load
from ringback.settings.policy_editor import held, move_phase, put_hold, release
from ringback.settings.setting_definitions import ServerCommand

_NO_END: Final = "none"

_yes_option: Final = option("--yes", is_flag=True, help="Don't ask.")


def _whose(account: str | None, url_prefix: str | None) -> tuple[str | None, str | None]:
    if not account and not url_prefix:
        raise click.UsageError("say whose callbacks are meant: --account, --url-prefix or both")
    return account or None, url_prefix or None


_with_whose: Final = handing(
    "whose",
    _whose,
    option("--account", metavar="SID", help="For the callbacks of this account."),
    option("--url-prefix", metavar="URL", help="For the callback URLs that begin like this."),
)
"""Gives a command the options that say whose callbacks a hold is for, and hands it those two."""


def _until(ctx: click.Context, param: click.Parameter, text: str | None) -> datetime | str | None:
    return text if text == _NO_END else instant(ctx, param, text)


@group("set")
def set_() -> None:
    """Change a phase or a hold in the settings file; comments and all else stay.

    What would change is shown, and asked for. A server that uses the file takes it over.
    """


@set_.command("phase")
@argument("name")
@option(
    "--since", required=True, callback=instant, metavar="DATE", help="When it is to begin (UTC)."
)
@policy_file_option
@_yes_option
def phase(*, name: str, since: datetime, settings: str | None, yes: bool) -> None:
    """Have a phase begin at another date."""
    _edit(settings, lambda file: move_phase(file, name, since), asks=not yes)


@set_.command("hold")
@_with_whose
@option("--phase", "name", metavar="NAME", help="The phase to hold it in.")
@option(
    "--until",
    callback=_until,
    metavar="DATE",
    help=f"When the hold is to end (UTC); {_NO_END} for good.",
)
@policy_file_option
@_yes_option
def hold(
    *,
    whose: tuple[str | None, str | None],
    name: str | None,
    until: datetime | str | None,
    settings: str | None,
    yes: bool,
) -> None:
    """Hold an account, a URL prefix or both in a phase.

    A hold that there is keeps its phase or its end where none is given.
    """

    def edit(file: SettingsFile) -> str:
        there = held(file, *whose)
        to_be = name or (there and there.phase)
        if to_be is None:
            raise ConfigurationError("a new hold needs a phase: give --phase")
        end = None if there is None else there.until
        if until is not None:
            end = until if isinstance(until, datetime) else None
        return put_hold(file, PhaseHold(to_be, *whose, end))

    _edit(settings, edit, asks=not yes)


@set_.command("release")
@_with_whose
@policy_file_option
@_yes_option
def release_(*, whose: tuple[str | None, str | None], settings: str | None, yes: bool) -> None:
    """Take the hold of an account, a URL prefix or both away."""
    _edit(settings, lambda file: release(file, *whose), asks=not yes)


def _edit(settings: str | None, edit: Callable[[SettingsFile], str], *, asks: bool) -> None:
    file = file_named(settings)
    if file is None:
        raise ConfigurationError(f"name the settings file with --settings, or in {FILE_VARIABLE}")
    text = edit(file)
    if text == file.text:
        click.echo("nothing to change")
        return
    _check(SettingsFile.of(file.path, text))
    click.echo("".join(_diff(file, text)), nl=False)
    if asks:
        click.confirm(f"Change {file.path}?", abort=True)
    replace_file(Path(file.path), old=file.text.encode(), new=text.encode())
    click.echo(f"{file.path} is changed")


def _check(file: SettingsFile) -> None:
    """Raise ConfigurationError unless `serve` or `dev` can start with this file.

    One of the two is enough: a file may have settings that only that command knows.
    """
    try:
        load({}, {}, command=ServerCommand.SERVE, file=file)
    except ConfigurationError as problem:
        try:
            load({}, {}, command=ServerCommand.DEV, file=file)
        except ConfigurationError:
            raise ConfigurationError(f"nothing is changed; there would be: {problem}") from None


def _diff(file: SettingsFile, text: str) -> list[str]:
    old, new = (each.splitlines(keepends=True) for each in (file.text, text))
    lines = unified_diff(old, new, f"{file.path} (now)", f"{file.path} (then)")
    return [line if line.endswith("\n") else f"{line}\n" for line in lines]
