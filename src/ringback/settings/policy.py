"""Reads the policy in the settings file: its `[[phases]]` and `[[holds]]` tables."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, Final, cast

from ringback.core.calendar import read_instant
from ringback.core.policy.source_policy import NOTICE, Phase, PhaseHold, Policy, SourceName
from ringback.core.toml_table import TomlTableError, check_keys, read_text
from ringback.settings.file import SettingsFile
from ringback.settings.toml_tables import read_source, tables_in

TABLES: Final = ("phases", "holds")

_PHASE: Final = "a phase has name, since, default and may_ask"
_HOLD: Final = "a hold has phase, account_sid or url_prefix or both, and may have until"


def read_policy(file: SettingsFile, sources: Collection[SourceName]) -> Policy:
    """Return the file's policy, which may name only these sources.

    A file without phases gets the phases of KORE's migration notice. Raises ConfigurationError,
    naming the line, if a phase or a hold is invalid.
    """
    phases = list[Phase]()

    def add_phase(entry: Mapping[str, Any]) -> None:
        # Checked one by one, so that the error names the line of the first invalid phase.
        phases[:] = Policy((*phases, _phase_of(entry, sources))).phases

    tables_in(file, "phases", _PHASE, add_phase)
    policy = Policy(tuple(phases) or NOTICE.phases)
    holds = tables_in(file, "holds", _HOLD, partial(_hold_of, policy))
    return replace(policy, holds=tuple(holds))


def _phase_of(entry: Mapping[str, Any], sources: Collection[SourceName]) -> Phase:
    check_keys(entry, must=("name", "default", "may_ask"), may=("since",))
    return Phase(
        name=read_text(entry, "name"),
        since=_instant_of(entry, "since"),
        default=read_source(entry["default"], "default", sources),
        may_ask=_may_ask_of(entry, sources),
    )


def _instant_of(entry: Mapping[str, Any], key: str) -> datetime | None:
    if key not in entry:
        return None
    try:
        return read_instant(str(entry[key]))
    except ValueError as problem:
        raise TomlTableError(key, f"{key}: {problem}") from None


def _may_ask_of(entry: Mapping[str, Any], sources: Collection[SourceName]) -> frozenset[SourceName]:
    names = entry["may_ask"]
    if not isinstance(names, list):
        raise TomlTableError("may_ask", f"may_ask = {names!r} must be a list of sources")
    return frozenset(read_source(name, "may_ask", sources) for name in cast("list[Any]", names))


def _hold_of(policy: Policy, entry: Mapping[str, Any]) -> PhaseHold:
    check_keys(entry, must=("phase",), may=("account_sid", "url_prefix", "until"))
    words = {key: read_text(entry, key) for key in entry if key != "until"}
    hold = PhaseHold(**words, until=_instant_of(entry, "until"))
    policy.check(hold)
    return hold
