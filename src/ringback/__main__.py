"""Entry point of the `ringback` command and of `python -m ringback`."""

import sys

from ringback.core.errors import missing_extra
from ringback.runtime.interpreter_tuning import collect_seldom_at_start


def main(program: str = "ringback") -> None:
    """Run the command; if one of its packages is missing, name the extra to install and exit."""
    collect_seldom_at_start()
    try:
        from ringback.cli.main import main as command  # noqa: PLC0415 (click may be missing)
        from ringback.cli.output import print_uncaught  # noqa: PLC0415 (click may be missing)

        sys.excepthook = print_uncaught
        command(prog_name=program)
    except ModuleNotFoundError as missing:
        error = missing_extra("the `ringback` command", missing)
        if error is missing:
            raise
        sys.exit(f"ringback: {error}")


if __name__ == "__main__":
    main("python -m ringback")
