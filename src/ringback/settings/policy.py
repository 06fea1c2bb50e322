"""The phases and holds of the settings file."""

from collections.abc import Collection, Generator, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final, cast

from ringback.core.errors import Unusable
from ringback.core.source import NOTICE, Hold, Phase, Policy, SourceName, source_named
from ringback.settings.file import SettingsFile
from ringback.settings.texts import read_instant

TABLES: Final = ("phases", "holds")

_PHASE: Final = "a phase has name, since, default and may_ask"
_HOLD: Final = "a hold has phase, account_sid or url_prefix or both, and may have until"


class _Wrong(ValueError):
    """A word of an entry that can't be used."""

    def __init__(self, key: str, problem: str) -> None:
        super().__init__(problem)
        self.key = key


def read_policy(file: SettingsFile, sources: Collection[SourceName]) -> Policy:
    """Return the file's policy over these sources; what it leaves out is the notice's.

    Raises Unusable, naming the line, for what can't be used.
    """
    phases: tuple[Phase, ...] = ()
    for index, entry in _entries(file, "phases", _PHASE):
        with _blaming(file, "phases", index, form=_PHASE):
            # Checked one by one, so that the line is that of the first which doesn't fit.
            phases = Policy((*phases, _phase_of(entry, sources))).phases
    policy = Policy(phases or NOTICE.phases)
    for index, entry in _entries(file, "holds", _HOLD):
        with _blaming(file, "holds", index, form=_HOLD):
            policy = Policy(policy.phases, (*policy.holds, _hold_of(entry)))
    return policy


def _entries(file: SettingsFile, name: str, form: str) -> Iterator[tuple[int, dict[str, Any]]]:
    entries = file.table.get(name, [])
    for index, entry in enumerate(cast("list[Any]", entries) if isinstance(entries, list) else [0]):
        if not isinstance(entry, dict):
            place = file.place(name, index)
            raise Unusable(f"{place}: {name} must be written as [[{name}]] tables; {form}")
        yield index, cast("dict[str, Any]", entry)


@contextmanager
def _blaming(file: SettingsFile, *keys: str | int, form: str) -> Generator[None]:
    try:
        yield
    except _Wrong as wrong:
        raise Unusable(f"{file.place(*keys, wrong.key)}: {wrong}; {form}") from None
    except Unusable as problem:
        raise Unusable(f"{file.place(*keys)}: {problem}") from None


def _phase_of(entry: Mapping[str, Any], sources: Collection[SourceName]) -> Phase:
    _check_words(entry, must=("name", "default", "may_ask"), may=("since",))
    return Phase(
        name=_text(entry, "name"),
        since=_instant_of(entry, "since"),
        default=_source(entry["default"], "default", sources),
        may_ask=_may_ask_of(entry, sources),
    )


def _instant_of(entry: Mapping[str, Any], key: str) -> datetime | None:
    if key not in entry:
        return None
    try:
        return read_instant(str(entry[key]))
    except ValueError as problem:
        raise _Wrong(key, f"{key}: {problem}") from None


def _may_ask_of(entry: Mapping[str, Any], sources: Collection[SourceName]) -> frozenset[SourceName]:
    names = entry["may_ask"]
    if not isinstance(names, list):
        raise _Wrong("may_ask", f"may_ask = {names!r} must be a list of sources")
    return frozenset(_source(name, "may_ask", sources) for name in cast("list[Any]", names))


def _hold_of(entry: Mapping[str, Any]) -> Hold:
    _check_words(entry, must=("phase",), may=("account_sid", "url_prefix", "until"))
    words = {key: _text(entry, key) for key in entry if key != "until"}
    return Hold(**words, until=_instant_of(entry, "until"))


def _check_words(entry: Mapping[str, Any], *, must: tuple[str, ...], may: tuple[str, ...]) -> None:
    for key in entry:
        if key not in (*must, *may):
            raise _Wrong(key, f"{key} is not known here")
    for key in must:
        if key not in entry:
            raise _Wrong(key, f"{key} is missing")


def _text(entry: Mapping[str, Any], key: str) -> str:
    value = entry[key]
    if not isinstance(value, str):
        raise _Wrong(key, f"{key} = {value!r} must be text in quotes")
    return value


def _source(name: Any, key: str, sources: Collection[SourceName]) -> SourceName:
    if not isinstance(name, str) or name not in sources:
        *others, last = sources
        known = f"{', '.join(others)} or {last}"
        raise _Wrong(key, f"{key}: {name!r} is no source; it must be {known}")
    return source_named(name)
