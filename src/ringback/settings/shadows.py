"""Reads the `[[shadows]]` rules in the settings file: which callbacks another source also sends."""

import re
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any, Final

from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.errors import InvalidCallbackUrl
from ringback.core.policy.source_policy import SourceName
from ringback.core.shadows.shadow import (
    Mark,
    ShadowQueryParameter,
    ShadowRule,
    ShadowTargetPath,
    ShadowTargetUrl,
)
from ringback.core.toml_table import TomlTableError, check_keys, read_text
from ringback.settings.file import SettingsFile
from ringback.settings.toml_tables import read_source, tables_in

TABLE: Final = "shadows"

_FORM: Final = (
    "a shadow has source, account_sid or url_prefix or both, one of parameter, path and url, and"
    " may have percent"
)
_WHO: Final = ("account_sid", "url_prefix")
_PARAMETER: Final = re.compile(r"[!$%&'()*+,\-./0-9:;=?@A-Z_a-z~]+")
_PATH: Final = re.compile(r"/[!$%&'()*+,\-./0-9:;=@A-Z_a-z~]*")
# For each mark that is a text: its pattern, its class, and the error for a text that doesn't match.
_TEXTS: Final[Mapping[str, tuple[re.Pattern[str], Callable[[str], Mark], str]]] = {
    "parameter": (
        _PARAMETER,
        ShadowQueryParameter,
        "can't be part of a URL's query; write one like shadow=1",
    ),
    "path": (_PATH, ShadowTargetPath, "is not a path; write one like /shadow/callbacks"),
}
_MARKS: Final = (*_TEXTS, "url")


def read_shadows(file: SettingsFile, sources: Collection[SourceName]) -> tuple[ShadowRule, ...]:
    """Return the shadow rules of the file, in order; each must copy from one of these sources.

    Raises ConfigurationError, naming the line, if a rule is invalid.
    """
    return tuple(tables_in(file, TABLE, _FORM, partial(_rule_of, sources)))


def _rule_of(sources: Collection[SourceName], entry: Mapping[str, Any]) -> ShadowRule:
    check_keys(entry, must=("source",), may=(*_WHO, *_MARKS, "percent"))
    if not any(key in entry for key in _WHO):
        # Only receivers that know of shadows may get copies, so a rule for all would be a mistake.
        raise TomlTableError(
            "source", "a shadow needs account_sid or url_prefix, to say which callbacks it copies"
        )
    return ShadowRule(
        source=read_source(entry["source"], "source", sources),
        mark=_mark_of(entry),
        percent=_percent_of(entry),
        **{key: read_text(entry, key) for key in _WHO if key in entry},
    )


def _mark_of(entry: Mapping[str, Any]) -> Mark:
    given = [key for key in _MARKS if key in entry]
    if len(given) != 1:
        many = (
            f"give only one of {' and '.join(given)}"
            if given
            else "a mark is missing, by which the receiver recognises a copy"
        )
        raise TomlTableError(given[-1] if given else "source", many)
    (key,) = given
    text = read_text(entry, key)
    if key == "url":
        return _to_url(text)
    form, mark, problem = _TEXTS[key]
    if not form.fullmatch(text):
        raise TomlTableError(key, f"{key} = {text!r} {problem}")
    return mark(text)


def _to_url(text: str) -> Mark:
    try:
        url = CallbackUrl.parse(text)
    except InvalidCallbackUrl as refusal:
        raise TomlTableError("url", f"url: {refusal.message}") from None
    if url.source is not None:
        raise TomlTableError("url", "url: `source` decides where the copy comes from; remove #cbs=")
    return ShadowTargetUrl(url)


def _percent_of(entry: Mapping[str, Any]) -> int:
    percent = entry.get("percent", 100)
    # isinstance would accept `true`, which Python counts as an int.
    if type(percent) is not int or not 1 <= percent <= 100:
        raise TomlTableError(
            "percent", f"percent = {percent!r} must be a whole number from 1 to 100"
        )
    return percent
