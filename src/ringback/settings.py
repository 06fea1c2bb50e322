"""Settings: flags, environment and a file, read once into one frozen record.

A flag beats the environment, the environment beats the file, the file beats the default. A value
that can't be used is refused with the name of the place that it came from.
"""

import ipaddress
import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from ringback.core.addresses import LOOPBACK, Network
from ringback.core.durations import read_duration
from ringback.core.errors import Unusable
from ringback.core.source import NOTICE, Hold, Phase, Policy, Source

# So that a calendar can run on from any of them.
_FIRST_YEAR: Final = 1970
_LAST_YEAR: Final = 2999

ENVIRONMENT: Final[Mapping[str, str]] = os.environ


@dataclass(frozen=True, slots=True)
class Settings:
    """How `ringback dev` runs."""

    host: str
    port: int
    data: Path
    policy: Policy
    phase: str | None
    """The phase that holds whatever the date; None where the date decides."""
    at: datetime | None
    """The instant at which the policy's calendar starts; None for today."""
    update_takes: timedelta
    static_proxy: bool
    allow: tuple[Network, ...]


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: `--name-of-it`, RINGBACK_NAME_OF_IT, and `name_of_it` in the file."""

    name: str
    read: Callable[[str], Any]
    default: str
    """In the form in which people write it; empty for none."""
    metavar: str
    help: str

    @property
    def flag(self) -> str:
        """The command line's name for it."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def variable(self) -> str:
        """The environment's name for it."""
        return f"RINGBACK_{self.name.upper()}"


@dataclass(frozen=True, slots=True)
class _Given:
    """A setting's text, and the place that it comes from."""

    where: str
    text: str

    def read_by(self, setting: Setting) -> Any:
        if not self.text and not setting.default:
            return None
        if not self.text:
            raise Unusable(f"{self.where} is empty; leave it out, or say {setting.default}")
        try:
            return setting.read(self.text)
        except ValueError as problem:
            raise Unusable(f"{self.where}: {problem}") from None


def load(flags: Mapping[str, str | None], environment: Mapping[str, str]) -> Settings:
    """Return the settings that the flags, the environment and the settings file add up to.

    Raises Unusable, naming the place, for a value that can't be used.
    """
    path = flags.get("settings") or environment.get("RINGBACK_SETTINGS")
    table = _read_file(Path(path)) if path else {}
    given = {setting.name: _find(setting, flags, environment, table, path) for setting in SETTINGS}
    values = {setting.name: given[setting.name].read_by(setting) for setting in SETTINGS}
    policy = _policy_of(table, path)
    values["phase"] = _phase_to_be_in(values["phase"], values["at"], policy, given["phase"].where)
    return Settings(policy=policy, **values)


def _find(
    setting: Setting,
    flags: Mapping[str, str | None],
    environment: Mapping[str, str],
    table: Mapping[str, Any],
    path: str | None,
) -> _Given:
    places = (
        (setting.flag, flags.get(setting.name)),
        (setting.variable, environment.get(setting.variable)),
        (f"{path}: {setting.name}", _as_text(table.get(setting.name))),
    )
    found = (_Given(where, text) for where, text in places if text is not None)
    return next(found, _Given("the default", setting.default))


def _phase_to_be_in(
    phase: str | None, at: datetime | None, policy: Policy, where: str
) -> str | None:
    """Return the phase that was asked for, else the first one, else None where a date was given."""
    names = [known.name for known in policy.phases]
    if phase is None:
        return names[0] if at is None else None
    if at is not None:
        raise Unusable("--phase and --at exclude each other: give a phase, or a date that has one")
    if phase not in names:
        raise Unusable(f"{where} {phase}: the policy has the phases {', '.join(names)}")
    return phase


def _as_text(value: Any) -> str | None:
    match value:
        case None:
            return None
        case bool():
            return "yes" if value else "no"
        case [*items]:
            return ",".join(map(str, items))
        case _:
            return str(value)


def _read_file(path: Path) -> dict[str, Any]:
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except OSError as failure:
        raise Unusable(f"the settings file {path} can't be read: {failure.strerror}") from None
    except ValueError as problem:
        raise Unusable(f"the settings file {path} is not TOML: {problem}") from None
    known = {setting.name for setting in SETTINGS} | {"phases", "holds"}
    for name in table:
        if name not in known:
            raise Unusable(
                f"{path}: there is no setting {name!r}; there are {', '.join(sorted(known))}"
            )
    return table


def _policy_of(table: Mapping[str, Any], path: str | None) -> Policy:
    try:
        phases = tuple(_phase_of(entry) for entry in table.get("phases", ()))
        holds = tuple(Hold(**_words(entry)) for entry in table.get("holds", ()))
        return Policy(phases or NOTICE.phases, holds)
    except Unusable as problem:
        raise Unusable(f"{path}: {problem}") from None
    except (TypeError, AttributeError, KeyError, ValueError) as problem:
        raise Unusable(
            f"{path}: {problem}; a phase has name, since, default and may_ask,"
            " a hold has phase and account_sid or url_prefix"
        ) from None


def _phase_of(entry: Mapping[str, Any]) -> Phase:
    others = {key: value for key, value in entry.items() if key not in ("since", "may_ask")}
    words = _words(others)
    return Phase(
        since=_read_instant(str(entry["since"])) if "since" in entry else None,
        default=Source(words.pop("default")),
        may_ask=frozenset(Source(name) for name in entry["may_ask"]),
        **words,
    )


def _words(entry: Mapping[str, Any]) -> dict[str, str]:
    for key, value in entry.items():
        if not isinstance(value, str):
            raise TypeError(f"{key} = {value!r} must be text in quotes")
    return dict(entry)


def _read_port(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= 65535:
        return int(text)
    raise ValueError(f"{text!r} is no port; it must be a number from 0 to 65535 (0: any free one)")


def _read_instant(text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
        is_naive = instant.tzinfo is None
        instant = instant.replace(tzinfo=UTC) if is_naive else instant.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(
            f"{text!r} is no date; write it like 2024-10-20 or 2024-10-20T12:00:00Z"
        ) from None
    if not _FIRST_YEAR <= instant.year <= _LAST_YEAR:
        raise ValueError(f"{text!r} must lie in the years {_FIRST_YEAR} to {_LAST_YEAR}")
    return instant


def _read_yes_or_no(text: str) -> bool:
    if text not in ("yes", "no"):
        raise ValueError(f"{text!r} must be yes or no")
    return text == "yes"


def _read_networks(text: str) -> tuple[Network, ...]:
    if text == "none":
        return ()
    names = text.split(",")
    return tuple(
        network
        for name in names
        for network in (LOOPBACK if name == "loopback" else (ipaddress.ip_network(name),))
    )


DATA: Final = Setting(
    "data",
    Path,
    "ringback-data",
    "FOLDER",
    "Where the data file and dev.json are kept; made where there is none.",
)

SETTINGS: Final = (
    Setting("host", str, "127.0.0.1", "ADDRESS", "The address to listen on."),
    Setting("port", _read_port, "8080", "PORT", "The port to listen on; 0 takes any free one."),
    DATA,
    Setting(
        "phase",
        str,
        "",
        "NAME",
        "The phase of the transition to be in: before, between or after.  [default: before]",
    ),
    Setting(
        "at",
        _read_instant,
        "",
        "DATE",
        "The date (UTC) at which the transition's calendar starts, instead of a phase.",
    ),
    Setting(
        "update_takes",
        read_duration,
        "500ms",
        "DURATION",
        "How long the simulated network takes to carry a change of a SIM out.",
    ),
    Setting(
        "static_proxy",
        _read_yes_or_no,
        "no",
        "YES|NO",
        "Whether Twilio's source says that it sends through its static proxy.",
    ),
    Setting(
        "allow",
        _read_networks,
        "loopback",
        "NETWORKS",
        "Networks, beside the public ones, that callbacks may go to: a comma list like"
        " 10.0.0.0/8,loopback, or none.",
    ),
)
