"""Keeps the active policy of a process the same as the newest version in the store."""

import logging
from collections.abc import Collection
from dataclasses import replace
from typing import Any, Final, NamedTuple, NoReturn

from ringback.core.audit import Actor, ActorKind, audit_entry
from ringback.core.errors import (
    SUPER_SIM,
    ConfigurationError,
    Conflict,
    InvalidParameter,
    StoreUnavailable,
)
from ringback.core.policy.policy_json import policy_fields
from ringback.core.policy.policy_version import OPERATOR, PolicyPart, PolicyVersion
from ringback.core.policy.source_policy import Policy, SourceName
from ringback.policy.active_policy import ActivePolicy
from ringback.ports import Clock, Store, Transaction

_REPLACED: Final = "ReplacePolicy"
_log = logging.getLogger(__name__)


class _OfferedPart(NamedTuple):
    """The policy part of this process's settings file, and the number of the version it made."""

    part: PolicyPart
    own: int


class StoredPolicy:
    """Makes versions of the policy in the store, and activates the newest one in this process."""

    def __init__(
        self, store: Store, active: ActivePolicy, *, clock: Clock, sources: Collection[SourceName]
    ) -> None:
        """Keep `active` up to date; `sources` are those that this process can send from."""
        self.active = active
        self._store = store
        self._clock = clock
        self._sources = sources
        self._offered: _OfferedPart | None = None

    async def offer(self, part: PolicyPart) -> None:
        """Make a version from the policy part of a settings file, unless it made one before.

        Then the newest version is activated. If it has another policy than the file, the file is
        behind: this is logged, and `active.behind` says why. Raises ConfigurationError if this
        process can't use the newest version, and StoreUnavailable if a new version can't be stored.
        """
        file_hash, now, logged = part.hash, self._clock.now(), self.active.behind
        actor = Actor(ActorKind.SETTINGS_FILE, name=part.origin)

        def find(tx: Transaction) -> tuple[int, PolicyVersion] | None:
            own, newest = tx.policies.made_by(file_hash), tx.policies.newest()
            return None if own is None or newest is None else (own.number, newest)

        def find_or_add(tx: Transaction) -> tuple[int, PolicyVersion] | None:
            if (found := find(tx)) is not None:
                return found
            newest = tx.policies.newest()
            new = PolicyVersion.of_part(part, _number_of(newest) + 1, now)
            return (new.number, new) if _add(tx, new, newest, actor) else None

        try:
            # If another process adds a version at the same time, one of the two has to try again.
            while (found := await self._store.transact(find_or_add)) is None:
                pass
        except StoreUnavailable:
            # Reading is enough if the part is known; another process may hold the lock for writing.
            if (found := await self._store.read(find)) is None:
                raise
        own, newest = found
        self._offered = _OfferedPart(part, own)
        self._use(newest)
        if self.active.behind not in (None, logged):
            _log.warning("%s", self.active.behind)

    async def look(self) -> None:
        """Activate the newest version in the store if it is newer than the active one.

        If this process can't use it, the active policy stays: this is logged, and `active.unusable`
        says why. Raises StoreUnavailable if the store can't be read at the moment.
        """
        number, logged = self.active.number, self.active.unusable
        newest = await self._store.read(lambda tx: tx.policies.newest(after=number))
        if newest is None:
            return
        try:
            self._use(newest)
        except ConfigurationError as problem:
            if str(problem) != logged:
                _log.error("%s; until then, the old policy stays active", problem)
        else:
            _log.info("the policy is %s now", newest)

    async def check(self, policy: Policy, *, based_on: int) -> None:
        """Check whether `change` would accept this policy; raises what it raises."""
        self._check(policy)
        await self._store.read(lambda tx: _check_accounts(tx, policy))
        if await self._store.read(lambda tx: _number_of(tx.policies.newest())) != based_on:
            await self._raise_changed(based_on)

    async def change(
        self, policy: Policy, *, based_on: int, actor: Actor, action: str = _REPLACED
    ) -> None:
        """Make this policy the newest version, and activate it, unless it is in force already.

        `actor` is who changes it, and `action` the operation, for the audit entry.

        Raises Conflict if the newest version is not the one with the number `based_on`, and
        InvalidParameter if this process can't use the policy, or if a new hold is for an account
        that doesn't exist.
        """
        self._check(policy)
        # Not in the transaction, since thousands of holds may be new.
        await self._store.read(lambda tx: _check_accounts(tx, policy))
        now = self._clock.now()

        def add(tx: Transaction) -> PolicyVersion | None:
            newest = tx.policies.newest()
            if _number_of(newest) != based_on:
                return None
            if newest is not None and newest.policy == policy:
                return newest
            new = PolicyVersion(based_on + 1, policy, now, OPERATOR)
            return new if _add(tx, new, newest, actor, action) else None

        in_force = await self._store.transact(add)
        if in_force is None:
            await self._raise_changed(based_on)
        self._use(in_force)
        _log.info("the policy is %s now", in_force)

    async def _raise_changed(self, based_on: int) -> NoReturn:
        await self.look()
        raise Conflict(
            f"version={based_on}: the policy has been changed since then, and is at version"
            f" {self.active.number} now; look at it, and change that version"
        )

    def _check(self, policy: Policy) -> None:
        """Raise InvalidParameter if this process can't use a policy."""
        if missing := self._lacking(policy):
            known = ", ".join(self._sources)
            raise InvalidParameter(
                f"the policy names the source {missing!r}, which this server doesn't have; its"
                f" sources are {known}",
                code=SUPER_SIM.invalid,
            )
        try:
            self.active.as_used(policy)
        except ConfigurationError as problem:
            raise InvalidParameter(str(problem), code=SUPER_SIM.invalid) from None

    def _lacking(self, policy: Policy) -> SourceName | None:
        """Return a source that the policy names and this process doesn't have, or None."""
        return next((name for name in policy.sources if name not in self._sources), None)

    def _use(self, version: PolicyVersion) -> None:
        """Activate a version, unless a newer one is active.

        Raises ConfigurationError if this process can't use it.
        """
        active, offered = self.active, self._offered
        if version.number < active.number:
            return
        try:
            if missing := self._lacking(version.policy):
                raise ConfigurationError(
                    f"it names the source {missing!r}, which the settings don't define: add"
                    f" [sources.{missing}] to the settings file, or start a server that has this"
                    " source, and put another policy in force there (`ringback policy set file`)"
                )
            active.activate(version)
        except ConfigurationError as problem:
            active.unusable = f"this server can't use the policy in force, {version}: {problem}"
            raise ConfigurationError(active.unusable) from None
        active.unusable = None
        active.behind = offered and version.why_behind(*offered)


def _check_accounts(tx: Transaction, policy: Policy) -> None:
    """Raise InvalidParameter if a hold that is not in force yet is for an unknown account."""
    newest = tx.policies.newest()
    known = frozenset(() if newest is None else newest.policy.holds)
    named = dict.fromkeys(hold.account_sid for hold in policy.holds if hold not in known)
    for sid in filter(None, named):
        if tx.accounts.get(sid) is None:
            by_kore_id = tx.accounts.with_kore_id(sid)
            right = by_kore_id.sid if by_kore_id else "that of an account of this server, like AC…"
            raise InvalidParameter(
                f"a hold is for the account {sid!r}, which doesn't exist; its SID must be {right}",
                code=SUPER_SIM.invalid,
            )


def _add(
    tx: Transaction,
    new: PolicyVersion,
    before: PolicyVersion | None,
    actor: Actor,
    action: str = _REPLACED,
) -> bool:
    """Save a new version with its audit entry, and return True; False if another was faster."""
    if not tx.policies.add(new):
        return False
    entry = audit_entry(
        *(actor, new.date_created, action, "policy"),
        account_sid=None,
        before=before and _shown(before, beside=new),
        after=_shown(new, beside=before),
    )
    if entry is not None:
        tx.audit.add(entry)
    return True


def _shown(version: PolicyVersion, *, beside: PolicyVersion | None) -> dict[str, Any]:
    """Return a version as audit entries show it: without the holds that `beside` has, too."""
    policy = version.policy
    if beside is not None:
        others = frozenset(beside.policy.holds)
        policy = replace(policy, holds=tuple(one for one in policy.holds if one not in others))
    return {"version": version.number, **policy_fields(policy)}


def _number_of(version: PolicyVersion | None) -> int:
    return 0 if version is None else version.number
