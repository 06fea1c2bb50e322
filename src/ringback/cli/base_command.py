"""The kind of command that `ringback` consists of: options in groups, examples, one form of error.

Commands are made with `command`, `group`, `option`, `option_group` and `argument` of this module.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import click
import cloup

from ringback.settings import ENVIRONMENT

option: Final = cloup.option
option_group: Final = cloup.option_group
argument: Final = cloup.argument

_COLORS: Final = {"auto": None, "always": True, "never": False}


class Command(cloup.Command):
    """A command whose help shows its options in groups, and examples to paste.

    `examples` are command lines, each with the sentence that is printed above it.
    """

    def __init__(
        self, *args: Any, examples: Mapping[str, str] | None = None, **options: Any
    ) -> None:
        options["params"] = [*(options.get("params") or ()), _color_option()]
        super().__init__(*args, **options)
        self.examples = examples or {}

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Print the examples below the options."""
        if self.examples:
            formatter.write("\nExamples:\n")
        for example, sentence in self.examples.items():
            # Not as a comment of the shell: zsh takes a pasted one for a command.
            lines = (sentence, *(f"  {line}" for line in example.splitlines()))
            formatter.write("\n".join(f"  {line}" for line in lines) + "\n")
        super().format_epilog(ctx, formatter)


class Group(Command, cloup.Group):
    """A command that has subcommands."""

    command_class = Command

    # Narrower than click's, whose types know no `examples`, and allow no parentheses as well.
    def command(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, name: str | None = None, **more: Any
    ) -> Callable[[Callable[..., Any]], Command]:
        """Return a decorator that makes a function a subcommand; `more` is passed to `Command`."""
        return super().command(name, **more)


def command(name: str | None = None, **more: Any) -> Callable[[Callable[..., Any]], Command]:
    """Return a decorator that makes a function a command; `more` is passed to `Command`."""
    return cloup.command(name, cls=Command, **more)


def group(
    name: str | None = None, *, cls: type[Group] = Group, **more: Any
) -> Callable[[Callable[..., Any]], Group]:
    """Return a decorator that makes a function a command with subcommands."""
    return cloup.group(name, cls=cls, **more)


def _color_option() -> cloup.Option:
    return cloup.Option(
        ["--color"],
        type=click.Choice(list(_COLORS)),
        expose_value=False,
        is_eager=True,
        callback=_set_color,
        help="When to use colours: always, never or auto (on a terminal, unless the variable"
        " NO_COLOR is set). Default: auto.",
    )


def _set_color(ctx: click.Context, _param: click.Parameter, color: str | None) -> None:
    if color is not None:
        ctx.color = _COLORS[color]
    elif ctx.color is None and ENVIRONMENT.get("NO_COLOR"):
        ctx.color = False
