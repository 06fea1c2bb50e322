"""Finds callback URLs in XML and HTML: in attributes and in elements."""

import re
from collections.abc import Iterator
from typing import Final

from ringback.migration.url_sources.text_formats.callback_names import is_callback_name
from ringback.migration.url_sources.text_formats.expressions import URL_START
from ringback.migration.url_sources.url_escaping import MARKUP, PLAIN
from ringback.migration.url_sources.url_matches import UrlInText, found_url

_TAG: Final = re.compile(
    r"<(?P<name>[A-Za-z_][\w.:-]*)(?P<attributes>(?:\s+[\w.:@-]+\s*=\s*(?:\"[^\"]*\"|'[^']*'))*)\s*/?>"
)
_ATTRIBUTE: Final = re.compile(
    r"(?P<name>[\w.:@-]+)\s*=\s*(?:\"(?P<double>[^\"]*)\"|'(?P<single>[^']*)')"
)
_CONTENT: Final = re.compile(
    r"(?:\s*<(?:value|string)\b[^>]*>)?\s*(?:<!\[CDATA\[\s*(?P<cdata>[^\]]*?)\s*\]\]>|(?P<text>[^<>\s]+))\s*<"
)
_NAMED_BY_TEXT: Final = re.compile(
    r"<(?:key|name|param-name|env-entry-name)>\s*(?P<key>[\w.-]+)\s*</[\w-]+>\s*"
    r"<[\w-]+(?:\s[^>]*)?>(?=\s*[^<\s])"
)
_NAMING: Final = frozenset({"key", "name", "id", "property", "param"})
_VALUES: Final = frozenset({"value", "default", "content", "defaultvalue"})


def urls_in_markup(text: str) -> Iterator[UrlInText]:
    """Yield the callback URLs in attributes and elements."""
    for tag in _TAG.finditer(text):
        yield from _in_tag(text, tag)
    for named in _NAMED_BY_TEXT.finditer(text):
        if is_callback_name(named["key"]):
            yield from _content(text, named.end(), named["key"])


def _in_tag(text: str, tag: re.Match[str]) -> Iterator[UrlInText]:
    attributes = list(_ATTRIBUTE.finditer(text, tag.start("attributes"), tag.end("attributes")))
    key = tag["name"] if is_callback_name(tag["name"].rpartition(":")[2]) else ""
    for attribute in attributes:
        value = attribute["double"] or attribute["single"] or ""
        if attribute["name"].lower() in _NAMING and is_callback_name(value):
            key = value
        if is_callback_name(attribute["name"].rpartition(":")[2].removeprefix("data-")):
            yield from _value(attribute, attribute["name"])
    if key:
        values = [each for each in attributes if each["name"].lower() in _VALUES]
        for attribute in values:
            yield from _value(attribute, key)
        if not values:
            yield from _content(text, tag.end(), key)


def _value(attribute: re.Match[str], key: str) -> Iterator[UrlInText]:
    group = "single" if attribute["double"] is None else "double"
    if URL_START.match(attribute[group]):
        yield found_url(attribute.start(group), attribute[group], MARKUP, key=key)


def _content(text: str, at: int, key: str) -> Iterator[UrlInText]:
    match = _CONTENT.match(text, at)
    group = "cdata" if match and match["cdata"] is not None else "text"
    if match and URL_START.match(match[group]):
        notation = PLAIN if group == "cdata" else MARKUP
        yield found_url(match.start(group), match[group], notation, key=key)
