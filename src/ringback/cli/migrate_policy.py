"""Which policy `ringback migrate` goes by, and at which date."""

from collections.abc import Callable
from datetime import datetime
from functools import wraps
from typing import Any

import click

from ringback.core.policy.source_policy import NOTICE, Policy
from ringback.settings.file import SettingsFile
from ringback.settings.load import FILE_VARIABLE
from ringback.settings.parsers import read_instant
from ringback.settings.policy import read_policy
from ringback.settings.sources import AddedSources


def _read_policy(_ctx: click.Context, _param: click.Parameter, path: str | None) -> Policy:
    if path is None:
        return NOTICE
    file = SettingsFile.read(path)
    return read_policy(file, AddedSources(file).sources)


def _read_date(_ctx: click.Context, _param: click.Parameter, text: str | None) -> datetime | None:
    try:
        return None if text is None else read_instant(text)
    except ValueError as problem:
        raise click.BadParameter(str(problem)) from problem


with_policy = click.option(
    "--settings",
    "policy",
    envvar=FILE_VARIABLE,
    metavar="FILE",
    callback=_read_policy,
    help="A settings file whose phases and holds decide; without one, the notice's dates do.",
)


def with_policy_at(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the policy, and a date to go by."""

    @with_policy
    @click.option(
        "--at",
        metavar="DATE",
        callback=_read_date,
        help="Say how it is at this date instead of today, as with `ringback dev --at`.",
    )
    @wraps(command)
    def run(**options: Any) -> None:
        command(**options)

    return run
