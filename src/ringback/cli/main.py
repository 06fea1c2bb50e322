"""The `ringback` command."""

import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, Final, NoReturn

import click
from click.shell_completion import CompletionItem

from ringback import __version__
from ringback.cli.base_command import Group, group
from ringback.cli.output import echo, echo_text, json_line, show_failure
from ringback.core.errors import RingbackError

_COMMANDS: Final[Mapping[str, Mapping[str, tuple[str, str]]]] = {
    "Develop on your machine": {
        "demo": ("demo", "Show how Twilio's callback request differs from KORE's."),
        "dev": ("dev.command", "Run a local SIM platform that sends real, signed callbacks."),
        "env": ("env", "Print the credentials of `ringback dev` as shell variables."),
        "listen": ("listen", "Receive callbacks and check their signatures."),
        "trigger": ("trigger", "Cause an event, such as an SMS, so that its callbacks are sent."),
        "device": ("device.command", "Act as the device of a SIM: messages, data, eSIM Profiles."),
        "scenario": ("scenario", "Choose whether the simulated network works, fails or is slow."),
        "clock": ("clock", "Show or advance the clock of `ringback dev`."),
    },
    "Inspect callbacks and receivers": {
        "callbacks": ("callbacks", "List callbacks, send them again, or stop sending them."),
        "counters": ("counters", "Count callbacks and attempts by minute, hour or day."),
        "diff": ("diff", "Compare a callback's requests from twilio and kore."),
        "verify": (
            "verify.command",
            "Check the signature of a callback request that you captured.",
        ),
        "probe": ("probe", "Test whether a receiver is ready for both twilio and kore."),
        "shadow": ("shadow", "Compare answers to callbacks and to their test copies."),
    },
    "Operate a platform": {
        "init": ("init", "Write a settings file that lists all settings."),
        "serve": ("serve", "Run a Ringback server in production."),
        "accounts": ("accounts.command", "Manage accounts and their credentials."),
        "secrets": ("webhook_secrets", "Manage webhook secrets, which sign KORE's callbacks."),
        "send": ("send", "Send a callback with your own parameters to a URL."),
        "test-event": ("send", "Send KORE's test event to a URL."),
        "db": ("db", "Check, upgrade or describe the stored data of a server."),
        "backup": ("backup", "Back up a data folder into a file, while a server uses it."),
        "restore": ("backup", "Make a new data folder from a backup."),
        "pause": ("pause", "Let a server accept requests, but send nothing."),
        "resume": ("pause", "Let a paused server send everything that is due."),
        "jobs": ("jobs", "Show, pause and cancel jobs: long actions that run in the server."),
        "links": ("links", "Share one callback or destination by a read-only link."),
        "destinations": ("destinations", "Show, limit and pause where callbacks go."),
        "streams": ("streams", "Show event streams, and manage KORE's destinations and rules."),
        "retention": ("retention", "Show or change how long callbacks are kept."),
        "audit": ("audit", "Show who changed what, when and from where."),
        "workers": ("workers", "List the processes of a server, and what each of them does."),
    },
    "Move receivers to another source": {
        "policy": ("policy.command", "Show, simulate or change which source sends, and when."),
        "migrate": (
            "migrate.command",
            "Find callback URLs, and move them to another source, or back.",
        ),
    },
    "Documentation and shell": {
        "docs": ("docs", "Open the documentation in a browser."),
        "completion": (
            "completion",
            "Set up the Tab key to complete commands, options and values.",
        ),
    },
}
"""By section and name: the module of each command, and what the list of commands says about it.

A module is imported when its command is called, so that a command waits for no other's imports.
"""


class LazyCommands(Group):
    """The `ringback` command, which imports a subcommand when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all subcommands, in the order of the help."""
        return [name for section in _COMMANDS.values() for name in section]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the subcommand of this name, or None."""
        for section in _COMMANDS.values():
            if cmd_name in section:
                module = import_module(f"ringback.cli.{section[cmd_name][0]}")
                return getattr(module, cmd_name.replace("-", "_"))
        return None

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the subcommands that begin like this; importing them would take a second."""
        return [
            CompletionItem(name, help=words)
            for section in _COMMANDS.values()
            for name, (_, words) in section.items()
            if name.startswith(incomplete)
        ]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a subcommand; the error for an unknown one suggests similar names."""
        try:
            return super().resolve_command(ctx, args)
        except click.NoSuchCommand as unknown:
            names = self.list_commands(ctx)
            raise click.NoSuchCommand(unknown.command_name, None, names, ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Print the subcommands by section, without importing them."""
        width = max(map(len, self.list_commands(ctx)))
        for title, section in _COMMANDS.items():
            with formatter.section(title):
                rows = [(name.ljust(width), words) for name, (_, words) in section.items()]
                formatter.write_dl(rows)

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        *more: Any,
        **options: Any,
    ) -> NoReturn:
        """Run the command and exit; print an error in one line, or as JSON with `--json`."""
        given = [*(sys.argv[1:] if args is None else args)]
        options["standalone_mode"] = False
        try:
            result = super().main(given, prog_name, *more, **options)
        except (click.ClickException, RingbackError, click.Abort) as failure:
            _report(failure, as_json="--json" in given)
            sys.exit(getattr(failure, "exit_code", 1))
        sys.exit(result if isinstance(result, int) else 0)


def _report(failure: click.ClickException | RingbackError | click.Abort, *, as_json: bool) -> None:
    match failure:
        case click.Abort():
            message = "aborted"
        case click.ClickException():
            message = failure.format_message()
        case _:
            message = str(failure)
    if as_json:
        code = getattr(failure, "exit_code", 1)
        echo(json_line({"error": message, "exit_code": code}), err=True)
    elif isinstance(failure, click.ClickException):
        show_failure(failure)
    else:
        echo_text(f"ringback: {message}", err=True)


@group(cls=LazyCommands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="ringback %(version)s")
def main() -> None:
    """Send callbacks of IoT SIM platforms, and move their receivers from twilio to kore.

    The sources twilio and kore are two infrastructures that send signed callbacks (webhooks).
    """
