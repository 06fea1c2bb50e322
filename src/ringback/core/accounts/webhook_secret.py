"""Webhook secrets: what signs callbacks from KORE's infrastructure, and its life cycle.

KORE's rules: an account has at most one active and one pending secret. The first one is active at
once; each later one is pending and replaces an earlier pending one. Activating the pending one ends
the active one at that instant, and can't be undone.
(docs.korewireless.com/developers/how-to/webhooks/rotate-my-webhook-secret)
"""

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Final, Self


class WebhookSecretStatus(StrEnum):
    """The status of a secret; a replaced one is deleted."""

    ACTIVE = "active"
    PENDING = "pending"


@dataclass(frozen=True, slots=True)
class WebhookSecret:
    """One secret of an account."""

    id: str
    """`whs_…`"""
    name: str
    value: str = field(repr=False)
    last_modified: datetime


@dataclass(frozen=True, slots=True)
class AccountWebhookSecrets:
    """All secrets of one account."""

    active: WebhookSecret | None = None
    pending: WebhookSecret | None = None

    @property
    def all(self) -> list[tuple[WebhookSecretStatus, WebhookSecret]]:
        """The secrets that there are, the active one first."""
        both = (
            (WebhookSecretStatus.ACTIVE, self.active),
            (WebhookSecretStatus.PENDING, self.pending),
        )
        return [(status, secret) for status, secret in both if secret is not None]

    def find(self, secret_id: str) -> tuple[WebhookSecretStatus, WebhookSecret] | None:
        """Return a secret with its status, or None where there is none with this id."""
        return next((pair for pair in self.all if pair[1].id == secret_id), None)

    def with_new(self, secret: WebhookSecret) -> Self:
        """Return the secrets with a new one, which is active where it is the first."""
        if self.active is None:
            return replace(self, active=secret)
        return replace(self, pending=secret)

    def with_activated(self, now: datetime) -> Self:
        """Return the secrets with the pending one active, in place of the active one."""
        if self.pending is None:
            return self
        return replace(self, active=replace(self.pending, last_modified=now), pending=None)

    def with_name(self, secret_id: str, name: str, now: datetime) -> Self:
        """Return the secrets, one of which has another name."""
        # The fields are called like the statuses.
        renamed = {
            status.value: replace(secret, name=name, last_modified=now)
            for status, secret in self.all
            if secret.id == secret_id
        }
        return replace(self, **renamed)


NO_SECRETS: Final = AccountWebhookSecrets()
