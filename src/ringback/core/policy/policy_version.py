"""The versions of the policy: the newest one is in force in all processes that share a store.

The policy part of a settings file makes a new version the first time that a process has it. A part
that was seen before changes nothing: it may be an old file, and must not undo what came later.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple, Self, cast

from ringback.core.calendar import iso
from ringback.core.errors import ConfigurationError
from ringback.core.policy.policy_json import policy_fields, read_policy
from ringback.core.policy.source_policy import Policy

OPERATOR: Final = "the operator"
"""The origin of a version that was made through the API."""


class PolicyPart(NamedTuple):
    """The policy part of a settings file: its phases and holds."""

    policy: Policy
    origin: str
    """Where the policy is from: the path of the file, or `KORE's notice` for a file without one."""

    @property
    def hash(self) -> str:
        """The hash of what the part says, however the file writes it.

        >>> from ringback.core.policy.source_policy import NOTICE
        >>> PolicyPart(NOTICE, "KORE's notice").hash[:16]
        '0d4e12c346f7b300'
        """
        return hashlib.sha256(write_policy(self.policy).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class PolicyVersion:
    """A version of the policy; the one with the highest number is in force."""

    number: int
    policy: Policy
    date_created: datetime
    origin: str
    """Where the version is from: like `PolicyPart.origin`, or OPERATOR."""
    file_hash: str | None = None
    """The hash of the policy part that made the version; None if no file made it."""

    @classmethod
    def of_part(cls, part: PolicyPart, number: int, now: datetime) -> Self:
        """Return the version that the policy part of a settings file makes."""
        return cls(number, part.policy, now, part.origin, part.hash)

    def why_behind(self, part: PolicyPart, own: int) -> str | None:
        """Return in words that a process's policy part is behind this version; None if it isn't.

        `own` is the number of the version that the part has made.
        """
        if part.policy == self.policy:
            return None
        return (
            f"{part.origin} is behind: it has the policy of version {own}, and {self} is in force;"
            " `ringback policy set file` puts a file's policy in force; otherwise write the one in"
            " force (`ringback policy show`) into the settings file"
        )

    def __str__(self) -> str:
        """Return the number, with the origin and the time, such as `version 2 (from a.toml, …)`."""
        return f"version {self.number} (from {self.origin}, {iso(self.date_created)})"


def write_policy(policy: Policy) -> str:
    """Return a policy as a text in JSON; equal policies give equal texts."""
    return json.dumps(policy_fields(policy), sort_keys=True, separators=(",", ":"))


def read_policy_text(text: str) -> Policy:
    """Return the policy in a text of `write_policy`; raises ConfigurationError if it is damaged."""
    try:
        record = json.loads(text)
    except ValueError:
        record = None
    if not isinstance(record, dict):
        raise ConfigurationError("policy: a stored version is not an object in JSON")
    return read_policy(cast("dict[str, Any]", record))
