"""Webhook secrets, which sign callbacks from KORE's infrastructure, and their life cycle.

The rules are KORE's. An account has at most one active and one pending secret. Its first secret is
active at once. Each later secret is pending, and replaces an earlier pending one. When the pending
secret is activated, it replaces the active one; this can't be undone
(docs.korewireless.com/developers/how-to/webhooks/rotate-my-webhook-secret).
"""

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Final, Self


class WebhookSecretStatus(StrEnum):
    """The status of a webhook secret; a secret that is replaced is deleted."""

    ACTIVE = "active"
    PENDING = "pending"


@dataclass(frozen=True, slots=True)
class WebhookSecret:
    """One webhook secret of an account."""

    id: str
    """The secret's id: `whs_…`."""
    name: str
    value: str = field(repr=False)
    last_modified: datetime


@dataclass(frozen=True, slots=True)
class AccountWebhookSecrets:
    """All webhook secrets of one account: at most one active and one pending."""

    active: WebhookSecret | None = None
    pending: WebhookSecret | None = None

    @property
    def all(self) -> list[tuple[WebhookSecretStatus, WebhookSecret]]:
        """The account's secrets, each with its status, the active one first."""
        both = (
            (WebhookSecretStatus.ACTIVE, self.active),
            (WebhookSecretStatus.PENDING, self.pending),
        )
        return [(status, secret) for status, secret in both if secret is not None]

    def find(self, secret_id: str) -> tuple[WebhookSecretStatus, WebhookSecret] | None:
        """Return the status and the secret with this id, or None if there is no such secret."""
        return next((pair for pair in self.all if pair[1].id == secret_id), None)

    def with_new(self, secret: WebhookSecret) -> Self:
        """Return the secrets with a new one added: active if it is the first, otherwise pending."""
        if self.active is None:
            return replace(self, active=secret)
        return replace(self, pending=secret)

    def with_activated(self, now: datetime) -> Self:
        """Return the secrets with the pending one made active; unchanged if none is pending."""
        if self.pending is None:
            return self
        return replace(self, active=replace(self.pending, last_modified=now), pending=None)

    def with_name(self, secret_id: str, name: str, now: datetime) -> Self:
        """Return the secrets after renaming the one with the id `secret_id` to `name`."""
        # The names of the fields are the values of the statuses.
        renamed = {
            status.value: replace(secret, name=name, last_modified=now)
            for status, secret in self.all
            if secret.id == secret_id
        }
        return replace(self, **renamed)


NO_SECRETS: Final = AccountWebhookSecrets()
