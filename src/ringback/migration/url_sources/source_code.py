"""Find the callback URLs in source code and configuration of any language.

The code is not parsed. A callback URL is found by the API parameter before it, in all common
spellings of its name, or by `cbs` in its fragment. A URL that the program builds at run time is
found too, but can't be changed.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Self

from ringback.core.callback_urls.connection_overrides import OVERRIDES
from ringback.migration.url_sources import url_escaping
from ringback.migration.url_sources.url_matches import UrlInText

_NAME: Final = re.compile(
    r"""(?<![\w%])
    (?P<name>[\w.-]{0,40}?(?:(?:sms|ip)[_.-]?commands[_.-]?url|callback[_.-]?ur[li]))
    (?P<more>[_.-]?\d{1,4}|_[a-z][a-z0-9_]{0,30})?  # CALLBACK_URL_1, callback_url_of_meters
    (?P<close>["']?\]?)                      # the end of a key in quotes
    (?P<sign>
        \s*:\s*[\w.\[\] |?]+?\s*=\s*         # after a type annotation
      | \s*(?:=>|:=|[=:]|>|\()\s*
    )
    """,
    re.VERBOSE | re.IGNORECASE,
)
_WRAPPER: Final = re.compile(r"(?:(?:new\s+)?[A-Za-z_][\w.]*\(\s*)?")
_LITERAL: Final = re.compile(
    r"""(?P<prefix>[A-Za-z]{0,2})(?P<quote>\"""|["'`])(?P<raw>(?:\\.|(?!(?P=quote))[^\\\n])*)(?P=quote)"""
)
_BARE: Final = re.compile(
    r"""(?P<raw>(?:https?:|https?%3A|\$\{|\{\{)[^\s"'`<>,;)\]]*)""", re.IGNORECASE
)
_EXPRESSION: Final = re.compile(r"[^\n,;]{1,200}")
_AT_RUN_TIME: Final = re.compile(
    r"""\b(?:environ|env|getenv|var|local|config|settings)\b|\bENV\[|["'`]\s*[+.]|[+.]\s*["'`]"""
)
_GOES_ON: Final = re.compile(r"""\s*\+|\s*%\s*[\w(\[]|\.\w+\(|\s*\.\s*["'$]|\s+\.\s|\s*\|\|""")
_PLACEHOLDER: Final = re.compile(r"""[{}]|\$\w|%(?:s|d(?![0-9A-Fa-f])|\()|<\w""")
_IS_URL: Final = re.compile(
    r"""https?(?:://|:\\/\\/|%3A%2F%2F)|\$[\w{]|\{\{|\{\w|#\{""", re.IGNORECASE
)
_WITH_SOURCE: Final = re.compile(
    r"""https?:(?://|\\/\\/)[^\s"'`<>()#]{0,4096}\#(?:[^\s"'`<>()]{0,200}[&;])?cbs=[\w-]*(?:&[^\s"'`<>()]*)?""",
    re.VERBOSE | re.IGNORECASE,
)
_OPTION: Final = re.compile(r"(?:^|\s)(-d|--data(?:-raw|-binary|-ascii|-urlencode)?)[ =]\s*$")
_PARAMETERS: Final = re.compile(r"(?:[\w.%+-]+=[^&]*&)*")
_WORD_ENDS: Final = re.compile(r"""[\s"'`]""")
_IN_FORM: Final = {
    '"': re.compile(r'[^"\n]*'),
    "'": re.compile(r"[^'\n]*"),
    "`": re.compile(r"[^`\n]*"),
    "": re.compile(r"""[^\s"'`;|]*"""),
}
_LOST: Final = (
    "the URL ends at its &, which begins the next parameter of a form body; write the & as %26"
)
_LOST_TO_THE_SHELL: Final = "the shell ends the command at the & of the URL; put the URL in quotes"
_AROUND: Final = 1000
"""Maximum number of characters to look at before a name, because generated lines can be long."""
_NOT_WHOLE: Final = "the URL is built when the program runs; change the code that builds it"


def matches_in_code(text: str, file: str) -> list[UrlInText]:
    """Return the callback URLs in the text of a file; the name `file` hints at the syntax."""
    is_markup = file.lower().endswith((".xml", ".html", ".htm", ".plist", ".csproj"))
    found = [url for name in _NAME.finditer(text) for url in _named(text, name, file)]
    named = {at for url in found for at in range(url.start, url.start + len(url.raw))}
    found += [
        _match(match.start(), match[0].rstrip(".,;"), url_escaping.ESCAPED)
        for match in _WITH_SOURCE.finditer(text)
        if match.start() not in named
    ]
    if is_markup:
        found = [_match(url.start, url.raw, url_escaping.MARKUP) for url in found]
    return found


def _named(text: str, match: re.Match[str], file: str) -> Iterator[UrlInText]:
    """Yield the URL that follows the name of a parameter, if there is one."""
    more = match["more"] or ""
    if more and match["sign"].strip() == "(":
        return  # a function like callback_url_for(…)
    line = text.rfind("\n", 0, match.start()) + 1
    before = text[max(line, match.start() - _AROUND) : match.start()]
    if match["sign"] == "=" and not match["close"] and not match["name"].isupper():
        form = _Form.around(before)
        if form is not None:
            yield from _in_form(text, match.end(), form)
            return
    wrapper = _WRAPPER.match(text, match.end())
    at = wrapper.end() if wrapper else match.end()
    if literal := _LITERAL.match(text, at):
        yield from _in_quotes(text, literal)
    elif bare := _BARE.match(text, match.end()):
        yield _bare(bare, file, is_exported=before.lstrip().startswith("export"))
    elif not more.strip("_").isidentifier():
        # A name like callback_url_timeout may have any value; only a URL shows that it is meant.
        expression = _EXPRESSION.match(text, match.end())
        if expression and _AT_RUN_TIME.search(expression[0]):
            yield UrlInText(match.end(), expression[0].strip().rstrip(")}"), fixed=_NOT_WHOLE)


def _in_quotes(text: str, literal: re.Match[str]) -> Iterator[UrlInText]:
    raw, start = literal["raw"], literal.start("raw")
    if not _IS_URL.match(raw):
        return
    goes_on = _GOES_ON.match(text, literal.end())
    yield _match(start, raw, url_escaping.ESCAPED, fixed=_NOT_WHOLE if goes_on else None)


def _bare(bare: re.Match[str], file: str, *, is_exported: bool) -> UrlInText:
    raw = bare["raw"].rstrip(".")
    if is_exported or file.endswith((".sh", ".bash", ".zsh")):
        cut, ampersand, _ = raw.partition("&") if "\\&" not in raw else (raw, "", "")
        fixed = _LOST_TO_THE_SHELL if ampersand else None
        return _match(bare.start(), cut, url_escaping.SHELL, fixed=fixed)
    return _match(bare.start(), raw, url_escaping.ESCAPED)


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
    match = _IN_FORM[form.quote].match(text, start)
    raw = match[0] if match else ""
    if not _IS_URL.match(raw):
        return
    is_encoded_by_curl = form.option == "--data-urlencode"
    if not form.quote and "&" in raw.replace("\\&", ""):
        yield _match(start, raw.partition("&")[0], url_escaping.FORM, fixed=_LOST_TO_THE_SHELL)
    elif is_encoded_by_curl:
        yield _match(start, raw, url_escaping.ESCAPED if form.quote else url_escaping.SHELL)
    else:
        value, _, rest = raw.partition("&")
        notation = url_escaping.FORM_ESCAPED if "%3a" in value.lower() else url_escaping.FORM
        yield _match(start, value, notation, fixed=_LOST if _is_lost(value, rest) else None)


def _is_lost(value: str, rest: str) -> bool:
    """Return True if the text after an & was probably meant as a part of the URL.

    The parameters of the APIs begin with a capital letter, those of URLs usually don't.
    """
    key = rest.partition("=")[0]
    return key in ("cbs", *OVERRIDES) or ("?" in value and key[:1].islower())


def _match(
    start: int, raw: str, notation: url_escaping.UrlEscaping, *, fixed: str | None = None
) -> UrlInText:
    if _PLACEHOLDER.search(raw):
        fixed = "the URL has a placeholder that is filled when the program runs; change it by hand"
    return UrlInText(start, raw, notation, fixed=fixed)
