"""The kind of command that `ringback` consists of: options in groups, examples, one form of error.

Commands are made with `command`, `group`, `option`, `option_group` and `argument` of this module.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar

import click

from ringback.settings import ENVIRONMENT

F = TypeVar("F", bound=Callable[..., Any])

_COLORS: Final = {"auto": None, "always": True, "never": False}
_ANY_LENGTH: Final = 1000
_WIDEST: Final = 30
"""The widest first column; a longer entry has its description on the next line."""


class GroupedOption(click.Option):
    """An option that the help shows under the title of its group; without a group, at the end."""

    group = ""


class Command(click.Command):
    """A command whose help shows its options in groups, and examples to paste.

    `examples` are command lines, each with the sentence that is printed above it.
    """

    def __init__(
        self, *args: Any, examples: Mapping[str, str] | None = None, **options: Any
    ) -> None:
        options["params"] = [*(options.get("params") or ()), _color_option()]
        super().__init__(*args, **options)
        self.examples = examples or {}

    @property
    def option_groups(self) -> Mapping[str, Sequence[click.Option]]:
        """The options by the title of their group; those without a group are under ''."""
        groups = dict[str, list[click.Option]]()
        for param in self.params:
            if isinstance(param, click.Option):
                groups.setdefault(getattr(param, "group", ""), []).append(param)
        return groups

    def format_arguments(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Print nothing; `format_options` aligns the arguments with the options."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Print the arguments and each group of options, with aligned descriptions."""
        sections = dict(self._sections(ctx))
        names = [name for rows in sections.values() for name, _ in rows]
        width = max(len(name) for name in names if len(name) <= _WIDEST)
        for title, rows in sections.items():
            with formatter.section(title):
                # click makes the first column of each list as wide as its longest entry.
                formatter.write_dl([(name.ljust(width), words) for name, words in rows], width)

    def _sections(self, ctx: click.Context) -> Iterator[tuple[str, Sequence[tuple[str, str]]]]:
        arguments = [one for one in self.params if isinstance(one, click.Argument)]
        if any(argument.help for argument in arguments):
            yield "Positional arguments", _rows(arguments, ctx)
        groups = dict(self.option_groups)
        others = groups.pop("", [])
        for title, options in groups.items():
            yield title, _rows(options, ctx)
        rest = [*others, *filter(None, [self.get_help_option(ctx)])]
        yield ("Other options" if groups else "Options"), _rows(rest, ctx)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Print the examples below the options."""
        if self.examples:
            formatter.write("\nExamples:\n")
        for example, sentence in self.examples.items():
            # Not as a comment of the shell: zsh takes a pasted one for a command.
            lines = (sentence, *(f"  {line}" for line in example.splitlines()))
            formatter.write("\n".join(f"  {line}" for line in lines) + "\n")
        super().format_epilog(ctx, formatter)


class Group(Command, click.Group):
    """A command that has subcommands."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Print the options, then the subcommands."""
        Command.format_options(self, ctx, formatter)
        self.format_commands(ctx, formatter)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Print the subcommands, each with its whole first sentence, which click would cut off."""
        commands = {name: self.get_command(ctx, name) for name in self.list_commands(ctx)}
        with formatter.section("Commands"):
            formatter.write_dl(
                [
                    (name, one.get_short_help_str(_ANY_LENGTH))
                    for name, one in commands.items()
                    if one
                ]
            )

    # Narrower than click's, whose types know no `examples`, and allow no parentheses as well.
    def command(  # pyright: ignore[reportIncompatibleMethodOverride] (see above)
        self, name: str | None = None, **more: Any
    ) -> Callable[[Callable[..., Any]], Command]:
        """Return a decorator that makes a function a subcommand; `more` is passed to `Command`."""

        def add(function: Callable[..., Any]) -> Command:
            made = command(name, **more)(function)
            self.add_command(made)
            return made

        return add


def command(name: str | None = None, **more: Any) -> Callable[[Callable[..., Any]], Command]:
    """Return a decorator that makes a function a command; `more` is passed to `Command`."""
    return click.command(name, cls=Command, **more)


def group(
    name: str | None = None, *, cls: type[Group] = Group, **more: Any
) -> Callable[[Callable[..., Any]], Group]:
    """Return a decorator that makes a function a command with subcommands."""
    return click.group(name, cls=cls, **more)


def argument(name: str, **more: Any) -> Callable[[F], F]:
    """Return a decorator that adds a positional argument; `more` is passed to `click.Argument`."""
    return click.argument(name, **more)


def option(*names: str, **more: Any) -> Callable[[F], F]:
    """Return a decorator that adds an option; `more` is passed to `click.Option`."""
    return click.option(*names, cls=GroupedOption, **more)


def option_group(title: str, *options: Callable[[F], F]) -> Callable[[F], F]:
    """Return a decorator that adds these options, in this order, as one group of the help."""

    def give(command: F) -> F:
        known = len(_params_of(command))
        for add_option in reversed(options):
            add_option(command)
        for added in _params_of(command)[known:]:
            added.group = title
        return command

    return give


def _params_of(command: Any) -> list[Any]:
    """Return the parameters that decorators have added to a function, the last one first."""
    return getattr(command, "__click_params__", [])


def _rows(params: Iterable[click.Parameter], ctx: click.Context) -> list[tuple[str, str]]:
    return [row for param in params if (row := param.get_help_record(ctx)) is not None]


def _color_option() -> click.Option:
    return GroupedOption(
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
