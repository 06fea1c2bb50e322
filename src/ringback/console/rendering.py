"""Renders the pages' templates: whole pages, or the one part of a page that is refreshed."""

from functools import cache
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2.runtime import Macro

from ringback.console import formats, pictures
from ringback.core.counted import counted

_TEMPLATES: Final = Path(__file__).with_name("templates")
_FORMATS: Final = (
    formats.answer_words,
    formats.breakable,
    formats.clock_time,
    formats.duration,
    formats.event_label,
    formats.event_words,
    formats.full_time,
    formats.host_of,
    formats.in_days,
    formats.long_day,
    formats.mark_of,
    formats.milliseconds,
    formats.moment,
    formats.number,
    formats.path_and_query,
    formats.share,
    formats.short_day,
    formats.short_event_type,
    formats.size,
    formats.ticked,
    formats.time_tag,
    formats.until,
    formats.ago,
    formats.url_tag,
)


@cache
def _environment() -> Environment:
    # Everything is escaped, whatever the template's name; an unknown variable is an error.
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    known = {each.__name__: each for each in _FORMATS} | {"counted": counted}
    environment.filters.update(known)  # pyright: ignore[reportUnknownMemberType] (Jinja has no type)
    environment.globals.update(known, pictures=pictures)  # pyright: ignore[reportUnknownMemberType] (as above)
    # A part is rendered without the page around it, so it can't use what the page imports.
    shared = environment.get_template("_macros.html").module
    macros = {name: value for name, value in vars(shared).items() if isinstance(value, Macro)}
    environment.globals.update(macros)  # pyright: ignore[reportUnknownMemberType] (as above)
    return environment


def render_page(template: str, values: dict[str, Any]) -> str:
    """Return a whole page."""
    return _environment().get_template(template).render(values)


def render_part(template: str, block: str, values: dict[str, Any]) -> str:
    """Return one block of a page; raises KeyError if the template has no such block."""
    found = _environment().get_template(template)
    context = found.new_context(values)
    return "".join(found.blocks[block](context))


def parts_of(template: str) -> frozenset[str]:
    """Return the names of the blocks of a page that can be rendered by themselves."""
    return frozenset(_environment().get_template(template).blocks)
