"""Finds the unparsed text of a setting, and the place that the text comes from."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from ringback.core.errors import ConfigurationError
from ringback.settings.file import SettingsFile
from ringback.settings.setting_definitions import ServerCommand, Setting

_LONGEST_SHOWN: Final = 80
_IN_WORDS: Final[Mapping[type, str]] = {
    str: "text in quotes",
    int: "a number",
    float: "a number",
    bool: "true or false",
    list: "a list of them",
    date: "a date",
}


@dataclass(frozen=True, slots=True)
class RawSetting:
    """The unparsed text of a setting; error messages begin with `where`, the place of the text."""

    setting: Setting
    where: str
    text: str
    default: str

    def read(self) -> Any:
        """Return the parsed value, or None if the text is empty and the setting is optional.

        Raises ConfigurationError, naming the place, if the text is invalid or a value is missing.
        """
        if not self.text and not self.default:
            return None
        if not self.text:
            raise ConfigurationError(
                f"{self.where} is empty; leave it out, or write {self.default}"
            )
        try:
            return self.setting.form.read(self.text)
        except ValueError as problem:
            raise self.refused(str(problem)) from None

    def refused(self, problem: str) -> ConfigurationError:
        """Return an error that says where this value is from, and the problem with it.

        If `problem` would show a secret, a general text takes its place.
        """
        if self.setting.form.is_secret and _shows_secret(problem, self.text):
            problem = "this value is not valid; --help shows the valid ones"
        return ConfigurationError(f"{self.where}: {problem}")


def find(
    setting: Setting,
    command: ServerCommand,
    *,
    flags: Mapping[str, str | None],
    environment: Mapping[str, str],
    file: SettingsFile,
) -> RawSetting:
    """Return a setting's text from the first place that has it: flag, environment, file, default.

    Raises ConfigurationError if the file's value has the wrong type.
    """
    default = setting.default_of(command)
    if (flag := flags.get(setting.name)) is not None:
        return RawSetting(setting, setting.flag, flag, default)
    if (variable := environment.get(setting.variable)) is not None:
        return RawSetting(setting, setting.variable, variable, default)
    if (value := file.table.get(setting.name)) is not None:
        return in_file(setting, value, file, setting.name, default=default)
    return RawSetting(setting, "the default", default, default)


def in_file(
    setting: Setting, value: Any, file: SettingsFile, *keys: str, default: str
) -> RawSetting:
    """Return the text of a setting whose value in the settings file, under `keys`, is `value`.

    Raises ConfigurationError if the value has the wrong type.
    """
    shown = as_toml(value)
    if setting.form.is_hidden:
        shown = "***"
    elif setting.form.is_secret:
        shown = without_secret(shown)
    where = f"{file.place(*keys)}: {keys[-1]} = {shown[:_LONGEST_SHOWN]}"
    if not _is_one_of(value, (str, *setting.form.in_file)):
        forms = dict.fromkeys(_IN_WORDS[form] for form in (str, *setting.form.in_file))
        raise ConfigurationError(f"{where}: this must be {' or '.join(forms)}")
    return RawSetting(setting, where, as_text(value), default)


def _is_one_of(value: Any, forms: tuple[type, ...]) -> bool:
    match value:
        case bool():
            # Python counts bool as int, but a user who writes `true` doesn't mean a number.
            return bool in forms
        case [*items]:
            return list in forms and all(_is_one_of(item, (str, int)) for item in items)
        case _:
            return isinstance(value, forms)


def as_text(value: Any) -> str:
    """Return a value of the settings file as the text that a flag would have for the same value."""
    match value:
        case bool():
            return "yes" if value else "no"
        case [*items]:
            return ",".join(map(str, items))
        case _:
            return str(value)


def as_toml(value: Any) -> str:
    """Return a simple value or a list in TOML syntax.

    >>> as_toml(["a", 1, True])
    '["a", 1, true]'
    """
    match value:
        case str() | bool():
            return json.dumps(value, ensure_ascii=False)
        case [*items]:
            return f"[{', '.join(map(as_toml, items))}]"
        case _:
            return str(value)


def without_secret(text: str) -> str:
    """Return a text without the credentials in front of an `@`.

    >>> without_secret("http://user:password@proxy:3128")
    'http://***@proxy:3128'
    """
    head, at, tail = text.rpartition("@")
    scheme, slashes, _ = head.partition("//")
    return f"{scheme if slashes else ''}{slashes}***@{tail}" if at else text


def _shows_secret(problem: str, text: str) -> bool:
    """Return True if the error message `problem` contains part of the credentials in `text`."""
    secret = text.rpartition("@")[0].rpartition("//")[2]
    return any(part in problem for part in re.split("[:@,]", secret) if part)
