"""Reads the table `[destinations]`, and the tables `[[destinations.for]]`.

They set the rate, the breaker and all else that can be set for destinations.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from ringback.core.accounts.account import EVERY
from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.destinations.destination_pattern import ALL, DestinationPattern
from ringback.core.destinations.destination_settings import (
    BY_NAME,
    DestinationSetting,
    DestinationValues,
)
from ringback.core.destinations.effective_settings import DestinationRule, SettingsOwner
from ringback.core.errors import ConfigurationError, InvalidCallbackUrl
from ringback.core.http.connection_profile import check_headers, read_header
from ringback.core.http.egress_routes import Egresses
from ringback.core.http.ssrf_guard import SsrfGuard
from ringback.core.sources.source_definition import Sources, header_names
from ringback.core.toml_table import TomlTableError, check_keys, read_text
from ringback.http_client.tls import check_ca, check_client_certificate
from ringback.runtime.os_error_messages import refusing
from ringback.settings.file import SettingsFile
from ringback.settings.raw_setting import as_text, as_toml
from ringback.settings.toml_tables import naming_the_line

TABLE: Final = "destinations"
_FOR: Final = "for"
_WHICH: Final = ("account_sid", "destination")
_OWN_FORMS: Final = ("headers", "client_certificate_file", "ca_file")
_KEYS: Final = (*BY_NAME, *_OWN_FORMS)
_FORM: Final = (
    f"the table [{TABLE}] and each [[{TABLE}.{_FOR}]] may have {', '.join(_KEYS)};"
    f" [[{TABLE}.{_FOR}]] also needs account_sid or destination, or both"
)
_NONE: Final = "none"
_SWITCHES: Final = frozenset({"YES|NO"})
_TEXTS: Final = frozenset({"NAME", "URL", "SID", "NONE|SIM"})


@dataclass(frozen=True, slots=True)
class DestinationTables:
    """Reads the tables of destinations; the fields are what their values may refer to."""

    sources: Sources
    egresses: Egresses
    guard: SsrfGuard

    def read(self, file: SettingsFile) -> tuple[DestinationRule, ...]:
        """Return the rules of the settings file: the one for all, then the others in their order.

        Raises ConfigurationError, naming the line, if a value can't be used.
        """
        table = file.table.get(TABLE, {})
        if not isinstance(table, dict):
            raise ConfigurationError(
                f"{file.place(TABLE)}: {TABLE} must be written as [{TABLE}]; {_FORM}"
            )
        for_all = cast("dict[str, Any]", table)
        entries = for_all.get(_FOR, [])
        if not isinstance(entries, list) or any(
            not isinstance(one, dict) for one in cast("list[Any]", entries)
        ):
            raise ConfigurationError(
                f"{file.place(TABLE, _FOR)}: {_FOR} must be written as [[{TABLE}.{_FOR}]]; {_FORM}"
            )
        return tuple(self._rules(file, for_all, cast("list[dict[str, Any]]", entries)))

    def _rules(
        self, file: SettingsFile, for_all: Mapping[str, Any], entries: Sequence[Mapping[str, Any]]
    ) -> Iterator[DestinationRule]:
        own = {key: value for key, value in for_all.items() if key != _FOR}
        has_account = "notify_account" in own
        if own:
            with naming_the_line(file, TABLE, form=_FORM):
                given = self._values(own, has_account=has_account)
                yield _rule(EVERY, DestinationPattern.parse(ALL), given)
        seen = set[tuple[str, str]]()
        for index, entry in enumerate(entries):
            with naming_the_line(file, TABLE, _FOR, index, form=_FORM):
                rule = self._rule_of(entry, has_account=has_account)
                which = rule.account_sid, rule.pattern.text
                if which in seen:
                    raise TomlTableError(
                        next(key for key in reversed(_WHICH) if key in entry),
                        "another table is about the same account and destination; write all that"
                        " is set for them in one table",
                    )
                seen.add(which)
                yield rule

    def _rule_of(self, entry: Mapping[str, Any], *, has_account: bool) -> DestinationRule:
        if not any(key in entry for key in _WHICH):
            raise TomlTableError(
                "", f"account_sid and destination are missing; what is for all is in [{TABLE}]"
            )
        account_sid, pattern = EVERY, DestinationPattern.parse(ALL)
        if "account_sid" in entry:
            account_sid = _parsed("account_sid", entry, BY_NAME["notify_account"].read)
        if "destination" in entry:
            pattern = _parsed("destination", entry, DestinationPattern.parse)
        rest = {key: value for key, value in entry.items() if key not in _WHICH}
        return _rule(account_sid, pattern, self._values(rest, has_account=has_account))

    def _values(self, entry: Mapping[str, Any], *, has_account: bool) -> DestinationValues:
        check_keys(entry, must=(), may=_KEYS)
        values = {
            name: _value_of(setting, entry[name])
            for name, setting in BY_NAME.items()
            if name in entry
        }
        egress, url = values.get("egress"), values.get("notify")
        if egress is not None and egress not in self.egresses.named:
            raise TomlTableError(
                "egress", f"egress = {egress!r}: {_no_egress((egress,), self.egresses)}"
            )
        if url is not None:
            self._check_url(url)
            if not has_account and "notify_account" not in values:
                raise TomlTableError(
                    "notify",
                    "notify needs notify_account, the account whose secrets sign the events; give"
                    f" it here or in [{TABLE}]",
                )
        return DestinationValues(
            values,
            self._headers(entry["headers"]) if "headers" in entry else None,
            _file_of("client_certificate_file", entry, check_client_certificate),
            _file_of("ca_file", entry, check_ca),
        )

    def _check_url(self, url: CallbackUrl) -> None:
        try:
            CallbackUrl.parse(url.configured, self.sources)
        except InvalidCallbackUrl as problem:
            raise TomlTableError("notify", f"notify: {problem.message}") from None
        problem = self.guard.refusal_of(url)
        unknown = self.egresses.unknown_names(url.connection)
        if problem is None and unknown:
            problem = _no_egress(unknown, self.egresses)
        if problem is not None:
            raise TomlTableError("notify", f"notify: {problem}")

    def _headers(self, value: Any) -> tuple[tuple[str, str], ...]:
        try:
            headers = tuple(_pairs_of(value))
            check_headers(headers, taken=header_names(self.sources))
        except ValueError as problem:
            raise TomlTableError("headers", f"headers: {problem}") from None
        return headers


def _rule(
    account_sid: str, pattern: DestinationPattern, given: DestinationValues
) -> DestinationRule:
    return DestinationRule(SettingsOwner.OPERATOR, account_sid, pattern, given, is_in_file=True)


def _no_egress(names: Sequence[str], egresses: Egresses) -> str:
    known = ", ".join(egresses.named) or "none"
    return (
        f"there is no egress {names[0]!r}; add it to the table [egress], or write one of those that"
        f" it has: {known}"
    )


def _value_of(setting: DestinationSetting, value: Any) -> Any:
    """Return the parsed value of a setting; raises TomlTableError."""
    forms: tuple[type, ...] = (str, int, float)
    words = "a number, or text in quotes"
    if setting.metavar in _SWITCHES:
        forms, words = (str, bool), "true or false"
    elif setting.metavar in _TEXTS:
        forms, words = (str,), "text in quotes"
    # Python counts bool as int, but a user who writes `true` doesn't mean a number.
    if not isinstance(value, forms) or (isinstance(value, bool) and bool not in forms):
        raise TomlTableError(setting.name, f"{setting.name} = {_shown(value)} must be {words}")
    return _parsed(setting.name, {setting.name: as_text(value)}, setting.read)


def _parsed(key: str, entry: Mapping[str, Any], read: Callable[[str], Any]) -> Any:
    text = read_text(entry, key)
    try:
        return read(text)
    except ValueError as problem:
        raise TomlTableError(key, f"{key}: {problem}") from None


def _pairs_of(value: Any) -> Iterator[tuple[str, str]]:
    """Yield the headers of a table, or of a list of texts; raises ValueError without values."""
    if isinstance(value, dict):
        for name, text in cast("dict[str, Any]", value).items():
            if not isinstance(text, str):
                raise ValueError(f"the value of {name} must be text in quotes")
            yield name, text
    elif isinstance(value, list) and all(isinstance(one, str) for one in cast("list[Any]", value)):
        yield from map(read_header, cast("list[str]", value))
    else:
        raise ValueError(
            'write them as a table like { X-Team = "meters" }, or as a list like ["X-Team: meters"]'
        )


def _file_of(key: str, entry: Mapping[str, Any], check: Callable[[str], None]) -> str | None:
    """Return the text of a file in PEM; None if none is given, and empty for the word `none`."""
    if key not in entry:
        return None
    name = read_text(entry, key)
    if name == _NONE:
        return ""
    try:
        with refusing("it can't be read"):
            # PEM is ASCII; `check` refuses all other characters.
            text = Path(name).read_bytes().decode("latin-1")
        check(text)
    except ConfigurationError as problem:
        raise TomlTableError(key, f"{key} = {name!r}: {problem}") from None
    return text


def _shown(value: Any) -> str:
    is_simple = isinstance(value, str | int | float | bool)
    return as_toml(value) if is_simple else "this value"
