"""Changes a hold of a policy, and compares the text of a policy before and after a change."""

from datetime import datetime
from difflib import unified_diff
from enum import Enum

from ringback.core.errors import ConfigurationError
from ringback.core.policy.source_policy import PhaseHold, Policy


class HoldEnd(Enum):
    """An end of a hold that is not a date."""

    KEPT = "kept"
    """An existing hold keeps its end, and a new one has none."""
    NEVER = "none"


def with_changed_hold(
    policy: Policy,
    account_sid: str | None,
    url_prefix: str | None,
    *,
    phase: str | None = None,
    until: datetime | HoldEnd = HoldEnd.KEPT,
) -> Policy:
    """Return a policy with a new hold, or with another phase or end of an existing one.

    An existing hold keeps its phase if none is given. Raises ConfigurationError if the hold is for
    neither an account nor URLs, and if it has no phase, or one that doesn't exist.
    """
    if not account_sid and not url_prefix:
        raise ConfigurationError("a hold needs an account, a URL prefix, or both")
    existing = policy.hold_of(account_sid, url_prefix)
    if phase is None:
        if existing is None:
            names = ", ".join(one.name for one in policy.phases)
            raise ConfigurationError(f"a new hold needs a phase; the phases are {names}")
        phase = existing.phase
    if isinstance(until, datetime):
        end = until
    else:
        is_kept = until is HoldEnd.KEPT and existing is not None
        end = existing.until if existing is not None and is_kept else None
    return policy.with_hold(PhaseHold(phase, account_sid, url_prefix, end))


def text_diff(old: str, new: str, name: str) -> str:
    r"""Return the changes of a text as a unified diff; empty if there are none.

    >>> print(text_diff("a\nb\n", "a\nc\n", "it"), end="")
    --- it (now)
    +++ it (changed)
    @@ -1,2 +1,2 @@
     a
    -b
    +c
    """
    before, after = (each.splitlines(keepends=True) for each in (old, new))
    lines = unified_diff(before, after, f"{name} (now)", f"{name} (changed)")
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)
