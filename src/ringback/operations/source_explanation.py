"""Finds out by which version of the policy a callback got its source, and explains why."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final, NamedTuple

from ringback.core.callbacks.callback import CallbackRecord
from ringback.core.errors import ConfigurationError
from ringback.core.policy.policy_version import PolicyVersion
from ringback.core.policy.source_explanation import (
    SourceExplanation,
    explain_replay,
    explain_selection,
    explain_stream,
    explain_test_event,
)
from ringback.core.policy.source_policy import CallbackSourceSelection, Policy
from ringback.ports import Transaction

_VERSIONS: Final = 2
"""How many versions are tried: one that was just made may not have been in force yet."""


class FoundSourceExplanation(NamedTuple):
    """Why a callback has its source, and the version of the policy that decided."""

    explanation: SourceExplanation
    version: int | None
    """The number of the version; None if the policy was not asked."""


def explain_source(
    tx: Transaction, callback: CallbackRecord, as_used: Callable[[Policy], Policy]
) -> FoundSourceExplanation | None:
    """Explain a callback's source by the policy that was in force when it was created.

    `as_used` returns a stored policy as this server uses it, and raises ConfigurationError if it
    can't. Returns None if none of the versions that come into question gives the stored source for
    the stored reason: they may be gone, or the server used another date or phase then.
    """
    selection = CallbackSourceSelection(
        callback.source, callback.source_asked, callback.source_reason
    )
    url = callback.url.wire
    if callback.replay_of is not None:
        explanation = explain_replay(url, selection, callback.replay_of)
        return FoundSourceExplanation(explanation, None)
    if callback.stream is not None:
        explanation = explain_stream(url, selection, callback.stream.stream_sid)
        return FoundSourceExplanation(explanation, None)
    if callback.is_test:
        return FoundSourceExplanation(explain_test_event(url, selection), None)
    for version in _versions(tx, callback):
        for policy in _uses_of(version.policy, as_used):
            added = policy.holds[len(version.policy.holds) :]
            explanation = explain_selection(
                policy,
                selection,
                at=policy.date_at(callback.date_created),
                account_sid=callback.account_sid,
                url=url,
                stay=added[0] if added else None,
            )
            if explanation is not None:
                return FoundSourceExplanation(explanation, version.number)
    return None


def _versions(tx: Transaction, callback: CallbackRecord) -> Iterator[PolicyVersion]:
    below = None
    for _ in range(_VERSIONS):
        version = tx.policies.made_until(callback.date_created, below=below)
        if version is None:
            return
        yield version
        below = version.number


def _uses_of(policy: Policy, as_used: Callable[[Policy], Policy]) -> Iterator[Policy]:
    """Yield a policy as this server uses it, and as a server without options of its own would."""
    # The server may stay in a phase that this version doesn't have.
    with suppress(ConfigurationError):
        yield as_used(policy)
    yield policy
