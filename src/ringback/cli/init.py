"""`ringback init`: writes a settings file with all settings and their defaults."""

import os
import sys
from pathlib import Path
from typing import Final

import click

from ringback.cli.base_command import argument, command, option, option_group
from ringback.cli.options import prints_record
from ringback.cli.output import Output
from ringback.core.errors import ConfigurationError

_PRIVATE: Final = 0o600


@command(
    examples={
        "ringback init platform.toml\nringback serve --settings platform.toml": (
            "Write a settings file with all defaults, and start a server with it."
        )
    }
)
@argument(
    "path",
    metavar="[FILE]",
    required=False,
    default="ringback.toml",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The settings file to write. Default: ringback.toml.",
)
@option_group(
    "The file",
    option(
        "--force",
        is_flag=True,
        help="Replace the file if it exists already. Without it, an existing file is an error.",
    ),
)
@prints_record
def init(*, path: Path, force: bool) -> Output:
    """Write a settings file that lists all settings.

    Each setting is a comment with its default: change what you need. With the unchanged file, a
    server does the same as without a file. The file is for `ringback serve` and `ringback dev`.
    Only you can read it, since it may get secrets.
    """
    from ringback.runtime.os_error_messages import refusing
    from ringback.settings.settings_template import settings_template

    with refusing(f"{path} can't be written"):
        try:
            _write(path, settings_template(), flags=0 if force else os.O_EXCL)
        except FileExistsError:
            raise ConfigurationError(
                f"{path} exists; name another file, or replace it with --force"
            ) from None
    words = f"{path} has all settings; use it with `ringback serve --settings {path}`"
    return {"file": str(path)}, words


def _write(path: Path, text: str, *, flags: int) -> None:
    """Write a file that only its owner can read; `flags` may say that it must be new."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | flags, _PRIVATE)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        # Whatever the umask, and before there is anything to read.
        if sys.platform != "win32":
            os.fchmod(descriptor, _PRIVATE)
        file.truncate()
        file.write(text)
