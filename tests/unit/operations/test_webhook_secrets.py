"""Webhook secrets: created, renamed, activated; the active one signs callbacks."""

import re
from datetime import timedelta

import pytest

from ringback.core.accounts.account import Account
from ringback.core.accounts.webhook_secret import WebhookSecretStatus
from ringback.core.errors import InvalidParameter, NotFound
from ringback.core.kore_ids import KoreIdKind, is_kore_id
from ringback.delivery.current_signing_keys import CurrentSigningKeys
from ringback.operations.webhook_secrets import SecretAndStatus, change_secret, create_secret
from tests.fakes import ACCOUNT_SID, KORE_SECRET, NOW, SeededRandomness, a_context, an_account
from tests.memory_store import MemoryTransaction

ACTIVE, PENDING = WebhookSecretStatus.ACTIVE, WebhookSecretStatus.PENDING
LATER = NOW + timedelta(hours=1)


class Ours:
    """An account, and the operations on its webhook secrets."""

    def __init__(self, kore_secret: str = KORE_SECRET) -> None:
        self.tx = MemoryTransaction()
        self.tx.accounts.add(an_account(kore_secret=kore_secret), [])
        self.signing_keys = CurrentSigningKeys()
        self.random_source = SeededRandomness()

    @property
    def account(self) -> Account:
        return self.tx.accounts.accounts[ACCOUNT_SID]

    def create(self, name: str = "next") -> SecretAndStatus:
        context = a_context(random_source=self.random_source, signing_keys=self.signing_keys)
        return create_secret(self.tx, self.account, name, context)

    def change(
        self, secret_id: str, *, name: str | None = None, status: WebhookSecretStatus | None = None
    ) -> SecretAndStatus:
        return change_secret(
            self.tx,
            self.account,
            secret_id,
            name=name,
            status=status,
            context=a_context(now=LATER, signing_keys=self.signing_keys),
        )

    @property
    def active_id(self) -> str:
        assert self.account.webhook_secrets.active is not None
        return self.account.webhook_secrets.active.id


def test_the_first_one_is_active_and_signs_at_once() -> None:
    ours = Ours(kore_secret="")
    status, secret = ours.create("first")
    assert (status, secret.name, secret.last_modified) == (ACTIVE, "first", NOW)
    assert ours.account.kore_secret == secret.value
    assert is_kore_id(secret.id, KoreIdKind.WEBHOOK_SECRET)
    assert re.fullmatch("[0-9a-f]{18}", secret.value)


def test_a_later_one_replaces_the_pending_one() -> None:
    ours = Ours()
    _, first = ours.create("a")
    status, second = ours.create("b")
    assert status is PENDING
    assert first.value != second.value
    assert ours.account.kore_secret == KORE_SECRET
    assert ours.account.webhook_secrets.pending == second
    with pytest.raises(NotFound):
        ours.change(first.id, status=ACTIVE)


def test_an_activated_one_signs_and_the_one_before_is_gone() -> None:
    ours = Ours()
    before = ours.active_id
    _, made = ours.create()
    status, secret = ours.change(made.id, status=ACTIVE)
    assert (status, secret.value, secret.last_modified) == (ACTIVE, made.value, LATER)
    assert ours.account.kore_secret == made.value
    assert [one.id for _, one in ours.account.webhook_secrets.all] == [made.id]
    with pytest.raises(NotFound, match=f"there is no webhook secret '{before}'"):
        ours.change(before, status=ACTIVE)


def test_it_can_get_another_name_and_be_activated_at_once() -> None:
    ours = Ours()
    _, made = ours.create()
    status, secret = ours.change(made.id, name="in use", status=ACTIVE)
    assert (status, secret.name, secret.value) == (ACTIVE, "in use", made.value)


def test_an_active_secret_cannot_be_made_pending() -> None:
    ours = Ours()
    before = ours.account
    with pytest.raises(InvalidParameter, match="is active, and that can't be undone"):
        ours.change(ours.active_id, name="other", status=PENDING)
    assert ours.account == before


@pytest.mark.parametrize("status", [None, ACTIVE])
def test_a_change_without_effect_changes_nothing(status: WebhookSecretStatus | None) -> None:
    ours = Ours()
    before = ours.account
    assert ours.change(ours.active_id, status=status) == (ACTIVE, before.webhook_secrets.active)
    assert ours.account == before


def test_a_pending_one_stays_pending_on_request() -> None:
    ours = Ours()
    held = ours.create()
    assert ours.change(held[1].id, status=PENDING) == held


def test_each_change_is_a_newer_state_of_the_account() -> None:
    ours = Ours()
    _, made = ours.create()
    ours.change(made.id, name="other")
    ours.change(made.id, status=ACTIVE)
    assert ours.account.revision == 3


@pytest.mark.parametrize("name", ["", " ", "a\nb", "x" * 65])
def test_an_unprintable_name_is_refused_and_nothing_changes(name: str) -> None:
    ours = Ours()
    before = ours.account
    with pytest.raises(InvalidParameter, match="a secret's name"):
        ours.create(name)
    with pytest.raises(InvalidParameter, match="a secret's name"):
        ours.change(ours.active_id, name=name)
    assert ours.account == before


def test_an_unknown_secret_is_not_found() -> None:
    with pytest.raises(NotFound, match="there is no webhook secret 'whs_0'"):
        Ours().change("whs_0", name="other")
