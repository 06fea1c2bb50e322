"""Writes the tables of commands, options and settings into docs/reference, from the code.

`python -m docs_build.reference` lists the pages that differ from the code, and `--write` rewrites
them. Markers on a page enclose each table; everything around them is written by hand:

    <!-- options: ringback listen -->
    <!-- end -->
"""

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from html import escape
from inspect import cleandoc
from pathlib import Path
from typing import Final

import click

from ringback.cli.base_command import Command, Group
from ringback.cli.main import main as ringback
from ringback.core.destinations.destination_settings import DESTINATION_SETTINGS, Bound
from ringback.core.sims.scenario import SCENARIOS
from ringback.settings.setting_definitions import SETTINGS, ServerCommand, Setting
from ringback.triggers import TRIGGERS

PAGES: Final = Path(__file__).parents[1] / "docs" / "reference"

_BLOCK: Final = re.compile(
    r"<!-- (commands|options|settings|scenarios|triggers|destinations)(?:: ([\w -]+))? -->\n"
    r"(?:.*?\n)??<!-- end -->",
    re.DOTALL,
)
_NO_VALUE: Final = "\N{EN DASH}"
_BOUNDS: Final = {
    Bound.LOWER: "the lower value",
    Bound.HIGHER: "the higher value; yes is higher than no",
    Bound.OPERATOR: "the operator's value",
    Bound.ACCOUNT: "the account's value",
}
_SERVERS: Final = {f"ringback {command}": command for command in ServerCommand}


def written(page: str) -> str:
    """Return the text of a page with each marked table generated anew from the code."""

    def block(found: re.Match[str]) -> str:
        kind, name = found[1], found[2] or ""
        start = f"<!-- {kind}: {name} -->" if name else f"<!-- {kind} -->"
        return "\n".join((start, *_BLOCKS[kind](name), "<!-- end -->"))

    return _BLOCK.sub(block, page)


def named(page: str, kind: str) -> list[str]:
    """Return the names of the commands for which a page has a block of this kind."""
    return [found[2] for found in _BLOCK.finditer(page) if found[1] == kind]


def commands() -> dict[str, Command]:
    """Return all commands and command groups by full name, except `ringback` itself."""
    return dict(_within(ringback, "ringback"))


def _within(group: Group, path: str) -> Iterator[tuple[str, Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, Command) and not command.hidden:
            yield f"{path} {name}", command
            if isinstance(command, Group):
                yield from _within(command, f"{path} {name}")


# ---- the kinds of block --------------------------------------------------------------------------


def _commands_block(name: str) -> Iterator[str]:
    """Yield a table of a group's commands, each a link to its section on the same page."""
    yield from ("", "| command | meaning |", "| --- | --- |")
    for path, command in commands().items():
        if path.startswith(f"{name} ") and not isinstance(command, click.Group):
            anchor = path.replace(" ", "-")
            meaning = _cell(" ".join(_paragraphs(command)[0].split()))
            yield f"| [`{path}`](#{anchor}) | {meaning} |"
    yield ""


def _options_block(name: str) -> Iterator[str]:
    """Yield a command's description, usage, examples, and a table for each group of options."""
    command = commands()[name]
    context = click.Context(command, info_name=name)
    for paragraph in _paragraphs(command):
        yield ""
        yield from _as_markdown(paragraph)
    usage = " ".join(command.collect_usage_pieces(context))
    yield from ("", "```text", f"{name} {usage}", "```", "")
    for example, sentence in command.examples.items():
        yield from (sentence, "", "```sh", *example.splitlines(), "```", "")
    for title, options in _option_groups(command):
        if rows := list(option_rows(options, context)):
            yield from (f"| {title.lower()} | meaning |", "| --- | --- |", *rows, "")


def _option_groups(command: Command) -> Iterator[tuple[str, Sequence[click.Option]]]:
    """Yield the options by group, without settings and --color, which have a page of their own."""
    groups = dict(command.option_groups)
    others = groups.pop("", [])
    yield from groups.items()
    yield "other options" if groups else "option", others


def option_rows(options: Iterable[click.Option], context: click.Context) -> Iterator[str]:
    """Yield a row for each option that is shown in the help."""
    settings = {setting.name for setting in SETTINGS} if context.info_name in _SERVERS else set()
    for option in options:
        if not (option.hidden or option.name in settings or option.name == "color"):
            yield f"| {_names(option, context)} | {_meaning(option, context)} |"


def _settings_block(_name: str) -> Iterator[str]:
    """Yield the table of all settings."""
    titles = ("flag, variable, key", "default of `dev`", "default of `serve`", "meaning")
    yield from ("", f"| {' | '.join(titles)} |", "| --- | --- | --- | --- |")
    for setting in SETTINGS:
        names = (setting.flag if setting.has_flag else "", setting.variable, setting.name)
        cells = (
            "<br>".join(f"`{name}`" for name in names if name),
            *(_default(setting, command) for command in ServerCommand),
            _cell(_without_default(setting.help)),
        )
        yield f"| {' | '.join(cells)} |"
    yield ""


def _destinations_block(_name: str) -> Iterator[str]:
    """Yield the table of what can be set for destinations."""
    yield from ("", "| setting | meaning | if both set it |", "| --- | --- | --- |")
    for setting in DESTINATION_SETTINGS:
        names = f"`{setting.flag}`<br>`{setting.parameter}`<br>`{setting.name}`"
        bound = "only the operator" if setting.is_operators else _BOUNDS[setting.bound]
        yield f"| {names} | {_cell(setting.help)} | {bound} |"
    yield ""


def _scenarios_block(_name: str) -> Iterator[str]:
    """Yield the table of scenarios: the ways in which the simulated network can behave."""
    yield from ("", "| scenario | what happens |", "| --- | --- |")
    for scenario in SCENARIOS.values():
        yield f"| `{scenario.name}` | {_cell(scenario.meaning)} |"
    yield ""


def _triggers_block(_name: str) -> Iterator[str]:
    """Yield the table of the triggers of `ringback trigger`."""
    yield from ("", "| name | what happens | parameters of the callbacks |", "| --- | --- | --- |")
    for trigger in TRIGGERS.values():
        callbacks = (" ".join(map("=".join, sent.items())) for sent in trigger.calls_back)
        parameters = "; ".join(f"`{callback}`" for callback in callbacks)
        if trigger.publishes is not None:
            parameters = "none; an event goes to [event streams](../../event-streams.md)"
        yield f"| `{trigger.name}` | {_cell(trigger.words)} | {parameters} |"
    yield ""


_BLOCKS: Final[dict[str, Callable[[str], Iterable[str]]]] = {
    "commands": _commands_block,
    "options": _options_block,
    "settings": _settings_block,
    "scenarios": _scenarios_block,
    "triggers": _triggers_block,
    "destinations": _destinations_block,
}


# ---- parts of a table ----------------------------------------------------------------------------


def _paragraphs(command: click.Command) -> list[str]:
    text = cleandoc(f"{command.help or ''}\n\n{command.epilog or ''}").strip()
    return re.split(r"\n{2,}", text)


def _as_markdown(paragraph: str) -> Iterator[str]:
    """Yield the lines of a help text's paragraph, as code if click prints it unwrapped."""
    verbatim = paragraph.removeprefix("\b\n")
    if verbatim != paragraph:
        yield from ("```console", cleandoc(verbatim), "```")
    else:
        yield " ".join(paragraph.split())


def _names(option: click.Option, context: click.Context) -> str:
    """Return an option's names with its value, `--port PORT`, each name in backticks."""
    names, _ = option.get_help_record(context) or ("", "")
    return ", ".join(_code(name) for name in names.split(", "))


def _meaning(option: click.Option, context: click.Context) -> str:
    """Return an option's help, with its default, variable and range in words."""
    extra = option.get_help_extra(context)
    sentences = [_cell(" ".join(_without_default(option.help or "").split()))]
    if extra.get("required"):
        sentences.append("Required.")
    if default := extra.get("default"):
        sentences.append(f"Default: {_code(default)}.")
    if limits := extra.get("range"):
        sentences.append(f"Range: {_range(limits)}.")
    if variables := extra.get("envvars"):
        sentences.append(f"Variable: {', '.join(f'`{name}`' for name in variables)}.")
    return " ".join(sentences)


def _range(limits: str) -> str:
    """Return the words for a range as click writes it: `0<=x<=65535`, `x>=1`."""
    low, _, high = limits.partition("<=x<=")
    return f"{low} to {high}" if high else f"{limits.removeprefix('x>=')} or more"


def _default(setting: Setting, command: ServerCommand) -> str:
    if not setting.is_for(command):
        return _NO_VALUE
    default = setting.default_of(command)
    return f"`{default}`" if default else ""


def _without_default(text: str) -> str:
    """Return a help text without the default at its end: tables have a column for defaults."""
    return re.sub(r"\s*\[default: [^]]*\]$", "", text)


def _cell(text: str) -> str:
    """Return a text as a cell of a Markdown table, in which a pipe would end the cell."""
    return "".join(
        _code(part[1:-1]) if part.startswith("`") else re.sub(r"([*<|])", r"\\\1", part)
        for part in re.split(r"(`[^`]*`)", text)
    )


def _code(text: str) -> str:
    """Return code in a table cell; a pipe in it needs HTML, since Markdown's escapes vary."""
    if "|" not in text:
        return f"`{text}`"
    return f"<code>{escape(text).replace('|', '&#124;')}</code>"


def main(*arguments: str) -> int:
    """Write the pages, or name those that differ from the code; return 1 if any differs."""
    different = 0
    for path in sorted(PAGES.rglob("*.md")):
        text = path.read_text("utf-8")
        now = written(text)
        if now == text:
            continue
        if "--write" in arguments:
            path.write_text(now, "utf-8")
        else:
            different += 1
            print(f"{path.relative_to(PAGES.parents[1])}: differs from the commands and settings")
    if different:
        print("write them with: make reference", file=sys.stderr)
    return bool(different)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
