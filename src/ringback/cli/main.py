"""The `ringback` command."""

import sys
from importlib import import_module
from typing import Any, Final

import click

from ringback import __version__
from ringback.core.errors import RingbackError

# By name, and imported once one is called: a start costs only what its own command needs.
_COMMANDS: Final = {
    "accounts": "ringback.cli.accounts.command",
    "callbacks": "ringback.cli.callbacks",
    "clock": "ringback.cli.clock",
    "db": "ringback.cli.db",
    "dev": "ringback.cli.dev.command",
    "device": "ringback.cli.device.command",
    "listen": "ringback.cli.listen",
    "migrate": "ringback.cli.migrate.command",
    "policy": "ringback.cli.policy.command",
    "probe": "ringback.cli.probe",
    "scenario": "ringback.cli.scenario",
    "secrets": "ringback.cli.webhook_secrets",
    "send": "ringback.cli.send",
    "serve": "ringback.cli.serve",
    "shadow": "ringback.cli.shadow",
    "test-event": "ringback.cli.send",
    "trigger": "ringback.cli.trigger",
    "verify": "ringback.cli.verify.command",
}


class LazyCommands(click.Group):
    """The commands, each imported only when it is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of this name, or None."""
        module = _COMMANDS.get(cmd_name)
        return getattr(import_module(module), cmd_name.replace("-", "_")) if module else None

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; print a refusal in one line, without a traceback, and exit with 1."""
        try:
            return super().invoke(ctx)
        except RingbackError as refusal:
            click.echo(f"ringback: {refusal}", err=True)
            sys.exit(1)


@click.group(cls=LazyCommands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(prog)s %(version)s")
def main() -> None:
    """Callbacks for IoT SIM platforms, from two infrastructures."""
