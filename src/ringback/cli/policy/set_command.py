"""`ringback policy set`: changes phases and holds in the settings file, and nothing else."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from ringback.cli.base_command import argument, command, group, option, option_group
from ringback.cli.options import Option, handing, json_option, with_options
from ringback.cli.output import say
from ringback.cli.policy.options import file_named, instant
from ringback.core.errors import ConfigurationError
from ringback.settings.setting_definitions import FILE_VARIABLE, ServerCommand

if TYPE_CHECKING:
    from ringback.settings.file import SettingsFile

_NO_END: Final = "none"

_change_options: Final[Option[Any]] = with_options(
    option_group(
        "Settings file",
        option(
            "--settings",
            metavar="FILE",
            help="The settings file (TOML) to change. Default: the file that"
            f" {FILE_VARIABLE} names.",
        ),
        option("--yes", is_flag=True, help="Change the file without asking first."),
    ),
    option_group("Output", json_option),
)


def _held_scope(account: str | None, url_prefix: str | None) -> tuple[str | None, str | None]:
    if not account and not url_prefix:
        raise click.UsageError("name what the hold is for: --account, --url-prefix or both")
    return account or None, url_prefix or None


_with_scope: Final = handing(
    "scope",
    _held_scope,
    option_group(
        "What the hold is for",
        option(
            "--account",
            metavar="SID",
            help="SID (AC…) of the account that the hold keeps in a phase.",
        ),
        option(
            "--url-prefix",
            metavar="URL",
            help="Beginning of the callback URLs that the hold keeps in a phase, for example"
            " https://a.example/.",
        ),
    ),
)
"""Gives a command the options for a hold's account and URL prefix, and passes both as `scope`."""


def _until(ctx: click.Context, param: click.Parameter, text: str | None) -> datetime | str | None:
    return text if text == _NO_END else instant(ctx, param, text)


@group("set")
def set_() -> None:
    """Change a phase or a hold in the settings file.

    A phase begins on a date, and decides which source (twilio or kore) sends callbacks from then
    on. A hold keeps an account or URLs in one phase. The command shows the lines that it will
    change, and asks you first; it changes no other lines. A server that uses the file follows the
    change within a second.
    """


@command(
    "phase",
    examples={
        "ringback policy set phase after --since 2027-06-01 \\\n  --settings ringback.toml --yes": (
            "Make the phase `after` begin on 1 June 2027."
        )
    },
)
@argument("name", help="The name of the phase, for example after.")
@option_group(
    "The phase",
    option(
        "--since",
        required=True,
        callback=instant,
        metavar="DATE",
        help="The date (UTC) on which the phase begins, for example 2027-06-01.",
    ),
)
@_change_options
def phase(*, name: str, since: datetime, settings: str | None, yes: bool, as_json: bool) -> None:
    """Change when a phase of the transition from twilio to kore begins."""
    from ringback.settings.policy_editor import move_phase

    _edit(settings, lambda file: move_phase(file, name, since), yes=yes, as_json=as_json)


@command(
    "hold",
    examples={
        'ringback policy set hold --account "$ACCOUNT_SID" --phase before \\\n'
        "  --settings ringback.toml --yes": "Keep an account in the phase `before`.",
        "ringback policy set hold --url-prefix 'https://a.example/' \\\n"
        "  --phase before --until 2027-09-01 --settings ringback.toml --yes": (
            "Keep URLs under https://a.example/ in the phase `before` until 2027-09-01."
        ),
    },
)
@_with_scope
@option_group(
    "The hold",
    option(
        "--phase",
        "name",
        metavar="NAME",
        help="The phase to keep the account or URLs in, for example before. A new hold needs it;"
        " an existing one keeps its phase by default.",
    ),
    option(
        "--until",
        callback=_until,
        metavar="DATE",
        help=f"The date (UTC) on which the hold ends, for example 2027-09-01, or {_NO_END} for no"
        " end. Default: an existing hold keeps its end, and a new one has none.",
    ),
)
@_change_options
def hold(
    *,
    scope: tuple[str | None, str | None],
    name: str | None,
    until: datetime | str | None,
    settings: str | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Keep an account or URLs in one phase, whatever the date (a hold).

    The phases are the parts of the transition from twilio to kore, such as before, between and
    after. With both --account and --url-prefix, the hold is only for those URLs of the account.
    """
    from ringback.core.policy.source_policy import PhaseHold
    from ringback.settings.policy_editor import held, put_hold

    def edit(file: "SettingsFile") -> str:
        existing = held(file, *scope)
        phase_name = name or (existing and existing.phase)
        if phase_name is None:
            raise ConfigurationError("a new hold needs a phase: give --phase")
        end = None if existing is None else existing.until
        if until is not None:
            end = until if isinstance(until, datetime) else None
        return put_hold(file, PhaseHold(phase_name, *scope, end))

    _edit(settings, edit, yes=yes, as_json=as_json)


@command(
    "release",
    examples={
        'ringback policy set release --account "$ACCOUNT_SID" \\\n'
        "  --settings ringback.toml --yes": "Remove the hold that keeps an account in one phase."
    },
)
@_with_scope
@_change_options
def release_(
    *, scope: tuple[str | None, str | None], settings: str | None, yes: bool, as_json: bool
) -> None:
    """Remove a hold, which keeps an account or URLs in one phase.

    From then on, the phase of the account or the URLs depends on the date again.
    """
    from ringback.settings.policy_editor import release

    _edit(settings, lambda file: release(file, *scope), yes=yes, as_json=as_json)


set_.add_command(phase)
set_.add_command(hold)
set_.add_command(release_)


def _edit(
    settings: str | None, edit: "Callable[[SettingsFile], str]", *, yes: bool, as_json: bool
) -> None:
    from ringback.runtime.disk_sync import replace_file
    from ringback.settings.file import SettingsFile

    file = file_named(settings)
    if file is None:
        raise ConfigurationError(f"name the settings file with --settings, or in {FILE_VARIABLE}")
    text = edit(file)
    is_changed = text != file.text
    diff = "".join(_diff(file, text))
    if is_changed:
        _check(SettingsFile.of(file.path, text))
        click.echo(diff, nl=False, err=as_json)
        if not yes:
            click.confirm(f"Change {file.path}?", abort=True, err=as_json)
        replace_file(Path(file.path), old=file.text.encode(), new=text.encode())
    record = {"file": file.path, "changed": is_changed, "diff": diff}
    words = f"{file.path} is changed" if is_changed else f"nothing to change in {file.path}"
    say(record, words, as_json=as_json)


def _check(file: "SettingsFile") -> None:
    """Raise ConfigurationError unless `serve` or `dev` can start with this file.

    One of the two is enough, since a file may have settings of only one command.
    """
    from ringback.settings.load import load

    try:
        load({}, {}, command=ServerCommand.SERVE, file=file)
    except ConfigurationError as problem:
        try:
            load({}, {}, command=ServerCommand.DEV, file=file)
        except ConfigurationError:
            raise ConfigurationError(
                f"{file.path} is not changed, because no server could start with it: {problem}"
            ) from None


def _diff(file: "SettingsFile", text: str) -> list[str]:
    from difflib import unified_diff

    old, new = (each.splitlines(keepends=True) for each in (file.text, text))
    lines = unified_diff(old, new, f"{file.path} (now)", f"{file.path} (changed)")
    return [line if line.endswith("\n") else f"{line}\n" for line in lines]
