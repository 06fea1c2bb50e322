"""Finds callback URLs in form bodies, such as `curl -d CallbackUrl=…`, and in queries of URLs."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, Self

from ringback.core.callback_urls.connection_overrides import OVERRIDES
from ringback.migration.url_sources.text_formats.callback_names import (
    CallbackName,
    callback_names,
    line_before,
)
from ringback.migration.url_sources.text_formats.expressions import URL_START
from ringback.migration.url_sources.url_escaping import ESCAPED, FORM, FORM_ESCAPED, SHELL
from ringback.migration.url_sources.url_matches import UrlInText, found_url

LOST_TO_THE_SHELL: Final = "the shell ends the command at the & of the URL; put the URL in quotes"
_LOST: Final = (
    "the URL ends at its &, which begins the next parameter of a form body; write the & as %26"
)
_OPTION: Final = re.compile(
    r"(?:^|\s)(-d|-F|--form|--data(?:-raw|-binary|-ascii|-urlencode)?)[ =]\s*$"
)
_PARAMETERS: Final = re.compile(r"(?:[\w.%+-]+=[^&]*&)*")
_WORD_ENDS: Final = re.compile(r"""[\s"'`]""")
_VALUES: Final = {
    '"': re.compile(r'[^"\n]*'),
    "'": re.compile(r"[^'\n]*"),
    "`": re.compile(r"[^`\n]*"),
    "": re.compile(r"""(?:\\.|[^\s"'`;|\\])*"""),
}
_QUERY: Final = re.compile(r"https?://[^\s\"'`<>?]*\?(?:[^\s\"'`<>]*&(?:amp;)?)?\Z", re.IGNORECASE)
_QUERY_VALUE: Final = re.compile(r"[^\s\"'`<>&]*")


def urls_in_forms(text: str) -> Iterator[UrlInText]:
    """Yield the callback URLs that are values in form bodies, or in the query of another URL."""
    for name in callback_names(text):
        if text[name.end : name.end + 1] != "=":
            continue
        before = line_before(text, name.start)
        if _QUERY.search(before):
            yield from _in_query(text, name)
        elif not name.text.isupper() and (form := _Form.around(before)):
            found = _in_form(text, name.end + 1, form)
            yield from (replace(match, key=name.text) for match in found)


@dataclass(frozen=True, slots=True)
class _Form:
    """The text around a URL in a form body: a curl option and a quotation mark."""

    option: str | None
    """The curl option for the body, like `--data`; None outside a curl command."""
    quote: str
    """The quotation mark before the body; empty if there is none."""

    @classmethod
    def around(cls, before: str) -> Self | None:
        """Return the form body that begins in this text and isn't closed; None if there is none."""
        ends = [end.start() for end in _WORD_ENDS.finditer(before)]
        start = ends[-1] if ends else -1
        quote = before[start] if ends and not before[start].isspace() else ""
        option = _OPTION.search(before[: start if quote else start + 1])
        if not _PARAMETERS.fullmatch(before, start + 1) or not (option or quote):
            return None
        return cls(option and option[1], quote)


def _in_form(text: str, start: int, form: _Form) -> Iterator[UrlInText]:
    """Yield the URL at this position, if it is a value in a form body."""
    match = _VALUES[form.quote].match(text, start)
    raw = match[0] if match else ""
    if not URL_START.match(raw):
        return
    is_one_value = form.option in ("--data-urlencode", "-F", "--form")
    if not form.quote and "&" in raw.replace("\\&", ""):
        yield found_url(start, raw.partition("&")[0], FORM, fixed=LOST_TO_THE_SHELL)
    elif is_one_value:
        yield found_url(start, raw, ESCAPED if form.quote else SHELL)
    else:
        value, _, rest = raw.partition("&")
        notation = FORM_ESCAPED if "%3a" in value.lower() else FORM
        yield found_url(start, value, notation, fixed=_LOST if _is_lost(value, rest) else None)


def _is_lost(value: str, rest: str) -> bool:
    """Return True if the text after an & was probably meant as a part of the URL.

    The parameters of the APIs begin with a capital letter, those of URLs usually don't.
    """
    key = rest.partition("=")[0]
    return key in ("cbs", *OVERRIDES) or ("?" in value and key[:1].islower())


def _in_query(text: str, name: CallbackName) -> Iterator[UrlInText]:
    match = _QUERY_VALUE.match(text, name.end + 1)
    if match and URL_START.match(match[0]):
        # Here a # would end the other URL, so all reserved characters are escaped.
        yield found_url(match.start(), match[0], FORM_ESCAPED, key=name.text)
