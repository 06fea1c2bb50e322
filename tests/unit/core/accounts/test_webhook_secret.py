"""KORE's rules for webhook secrets, tested from each possible state of an account."""

from datetime import timedelta

import pytest

from ringback.core.accounts.webhook_secret import (
    NO_SECRETS,
    AccountWebhookSecrets,
    WebhookSecret,
    WebhookSecretStatus,
)
from tests.fakes import NOW, a_secret

ACTIVE, PENDING = WebhookSecretStatus.ACTIVE, WebhookSecretStatus.PENDING
FIRST, SECOND, THIRD = (a_secret(f"value of {name}", name=name) for name in "abc")
ONE = AccountWebhookSecrets(FIRST)
BOTH = AccountWebhookSecrets(FIRST, SECOND)
STATES = [NO_SECRETS, ONE, BOTH]
LATER = NOW + timedelta(hours=1)


def test_the_first_secret_is_active_at_once() -> None:
    assert NO_SECRETS.with_new(FIRST) == ONE


def test_a_later_one_is_pending() -> None:
    assert ONE.with_new(SECOND) == BOTH


def test_a_new_one_replaces_the_pending_one() -> None:
    assert BOTH.with_new(THIRD) == AccountWebhookSecrets(FIRST, THIRD)


def test_activating_the_pending_one_ends_the_active_one() -> None:
    after = BOTH.with_activated(LATER)
    assert after.active is not None
    assert (after.active.id, after.active.value) == (SECOND.id, SECOND.value)
    assert after.active.last_modified == LATER
    assert after.pending is None
    assert after.find(FIRST.id) is None


@pytest.mark.parametrize("state", [NO_SECRETS, ONE])
def test_without_a_pending_one_there_is_nothing_to_activate(state: AccountWebhookSecrets) -> None:
    assert state.with_activated(LATER) == state


@pytest.mark.parametrize(
    ("state", "all_there_are"),
    [(NO_SECRETS, []), (ONE, [(ACTIVE, FIRST)]), (BOTH, [(ACTIVE, FIRST), (PENDING, SECOND)])],
)
def test_all_secrets_are_listed_with_their_status_the_active_one_first(
    state: AccountWebhookSecrets, all_there_are: list[object]
) -> None:
    assert state.all == all_there_are
    for status, secret in state.all:
        assert state.find(secret.id) == (status, secret)


@pytest.mark.parametrize("state", STATES)
def test_an_unknown_secret_is_not_found_and_gets_no_name(state: AccountWebhookSecrets) -> None:
    assert state.find(THIRD.id) is None
    assert state.with_name(THIRD.id, "new", LATER) == state


@pytest.mark.parametrize(("one", "other"), [(FIRST, SECOND), (SECOND, FIRST)])
def test_renaming_changes_only_that_secrets_name(one: WebhookSecret, other: WebhookSecret) -> None:
    after = BOTH.with_name(one.id, "new", LATER)
    found = after.find(one.id)
    assert found is not None
    assert (found[1].name, found[1].value, found[1].last_modified) == ("new", one.value, LATER)
    assert after.find(other.id) == BOTH.find(other.id)


def test_its_text_does_not_have_its_value() -> None:
    assert "hunter2" not in repr(AccountWebhookSecrets(a_secret("hunter2"), a_secret("hunter2")))
