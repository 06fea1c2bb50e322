"""The `ringback` command, and `python -m ringback`."""

import sys


def main() -> None:
    """Run the command, where its parts are installed; the receiver is there without them."""
    try:
        from ringback.cli.main import main as command  # noqa: PLC0415 (it may be missing)
    except ModuleNotFoundError as missing:
        sys.exit(
            f"ringback: the command needs {missing.name}, which is not installed;"
            " install 'ringback[server]'. Without it, ringback.receiver is all there is."
        )
    command(prog_name="ringback")


if __name__ == "__main__":
    main()
