"""Audit entries: who changed what, when and from where; what it was before, and what it became.

An entry never has a secret. The fields of a record that its `repr` leaves out are its secrets: of
these, an entry only says whether they are set, and that they changed.
"""

import dataclasses
from collections.abc import Mapping, Set
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, NamedTuple, cast

from ringback.core.calendar import exact
from ringback.core.callback_urls.callback_url import CallbackUrl

AUDIT_KEPT: Final = timedelta(days=730)
"""How long the entry of a change is kept."""
SIGN_INS_KEPT: Final = timedelta(days=90)
"""How long the entry of a sign-in or sign-out of the console is kept."""
SIGN_INS: Final = ("SignIn", "SignOut")
"""The actions of sign-ins and sign-outs, which change nothing."""
HIDDEN: Final = "(secret)"
"""Stands for a secret in an entry."""

_UNIMPORTANT: Final = frozenset({"date_updated", "revision"})
"""The fields that change with all others."""


class ActorKind(StrEnum):
    """The kinds of those who change something."""

    API_KEY = "api_key"
    """An API key of an account."""
    OPERATOR_KEY = "operator_key"
    """An API key of the operator."""
    AUTH_TOKEN = "auth_token"  # noqa: S105 (no secret, but a kind)
    """The Auth Token of an account."""
    API_CLIENT = "api_client"
    """An API client of an account, with one of its bearer tokens."""
    COMMAND_LINE = "command_line"
    """A person who ran a command that works on the data without a server."""
    SETTINGS_FILE = "settings_file"
    """A settings file that a server has read."""
    SERVER = "server"
    """The server itself: for example, `ringback dev` makes its first account."""


OF_ACCOUNTS: Final = frozenset({ActorKind.API_KEY, ActorKind.AUTH_TOKEN, ActorKind.API_CLIENT})
"""The kinds of actors that belong to an account; all others belong to the operator."""


class Actor(NamedTuple):
    """The person or program that changes something."""

    kind: ActorKind
    id: str | None = None
    """The SID of the API key or of the account, or the id of the API client; None for others."""
    name: str | None = None
    """The name of the API key, account or API client, or of the settings file."""
    address: str | None = None
    """The client's IP address, or USER@MACHINE of a command; None if it is unknown."""

    def at(self, address: str) -> "Actor":
        """Return the actor with the address that a change comes from."""
        return self._replace(address=address or None)


SERVER: Final = Actor(ActorKind.SERVER)
"""The actor of changes that the server makes by itself."""


@dataclasses.dataclass(frozen=True, slots=True)
class AuditEntry:
    """One change: who made it, what was changed, and how."""

    date_created: datetime
    account_sid: str | None
    """The account that the change is about; None if it is not about one account."""
    actor_kind: ActorKind
    actor: str | None
    actor_name: str | None
    address: str | None
    action: str
    """What was done: the name of the API's operation, such as `CreateFleet`."""
    subject: str
    """The SID, id or name of what was changed."""
    before: Mapping[str, Any] | None
    """What it was: the fields that changed; None if it is new."""
    after: Mapping[str, Any] | None
    """What it became: the fields that changed, or all if it is new; None if it was deleted."""
    seq: int | None = None
    """The number by which the store sorts entries; None until the entry is stored."""

    @property
    def sid(self) -> str:
        """The identifier of a stored entry, such as `AU` and 32 hexadecimal digits."""
        return sid_of(self.seq or 0)

    @property
    def for_account(self) -> "AuditEntry":
        """The entry as its account may see it: of the operator's actors, it shows only the kind."""
        if self.actor_kind in OF_ACCOUNTS:
            return self
        return dataclasses.replace(self, actor=None, actor_name=None, address=None)


def sid_of(seq: int | str) -> str:
    """Return the SID of the entry with this `seq`.

    >>> sid_of(11)
    'AU0000000000000000000000000000000b'
    """
    return f"AU{int(seq):032x}"


def seq_of(sid: str) -> int | None:
    """Return the `seq` of the entry with this SID; None if it is not an entry's SID.

    >>> seq_of("AU0000000000000000000000000000000b")
    11
    """
    try:
        return int(sid.removeprefix("AU"), 16) if sid.startswith("AU") else None
    except ValueError:
        return None


def audit_entry(
    actor: Actor,
    now: datetime,
    action: str,
    subject: str,
    *,
    account_sid: str | None,
    before: object = None,
    after: object = None,
) -> AuditEntry | None:
    """Return the entry for a change of a record, or None if nothing was changed.

    `before` and `after` are the record, or its fields by name; None if it did not exist.
    """
    was, became = _fields(before), _fields(after)
    if before is not None and after is not None:
        changed = {
            name
            for name in was.keys() | became.keys()
            if name not in _UNIMPORTANT and was.get(name) != became.get(name)
        }
        if not changed:
            return None
        was, became = (
            {name: value for name, value in fields.items() if name in changed}
            for fields in (was, became)
        )
    return AuditEntry(
        date_created=now,
        account_sid=account_sid,
        actor_kind=actor.kind,
        actor=actor.id,
        actor_name=actor.name,
        address=actor.address,
        action=action,
        subject=subject,
        before=None if before is None else _shown(was),
        after=None if after is None else _shown(became),
    )


class SecretValue(NamedTuple):
    """A secret, which is compared, but never shown."""

    value: object


def _fields(record: object) -> dict[str, object]:
    """Return the fields of a record by their names; secret values are wrapped in `SecretValue`.

    Fields that don't count when records are compared are left out.
    """
    if record is None:
        return {}
    if isinstance(record, Mapping):
        return dict(cast("Mapping[str, object]", record))
    fields = dataclasses.fields(cast("Any", record))
    values = {field: getattr(record, field.name) for field in fields if field.compare}
    return {
        field.name: value if field.repr or value is None else SecretValue(value)
        for field, value in values.items()
    }


def _shown(value: object) -> Any:
    """Return a value as JSON has it, without secrets."""
    match value:
        case SecretValue():
            return HIDDEN
        case None | bool() | int() | float():
            return value
        case datetime():
            return exact(value)
        case timedelta():
            return value.total_seconds()
        case CallbackUrl():
            return value.shown
        case bytes():
            return value.hex()
        case Mapping():
            fields = cast("Mapping[str, object]", value)
            return {str(name): _shown(one) for name, one in fields.items()}
        case tuple() | list():
            return [_shown(one) for one in cast("list[object]", value)]
        case Set():
            return sorted(str(one) for one in cast("Set[object]", value))
        case _:
            return _shown(_fields(value)) if dataclasses.is_dataclass(value) else str(value)
