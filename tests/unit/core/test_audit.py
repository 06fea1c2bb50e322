"""Audit entries: only what changed, and never a secret."""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from ringback.core.accounts.account import AccountStatus
from ringback.core.audit import SERVER, Actor, ActorKind, AuditEntry, audit_entry, seq_of, sid_of
from ringback.core.callback_urls.callback_url import CallbackUrl
from tests.fakes import A_KEY, ACCOUNT_SID, NOW, an_account, an_api_key, an_audit_entry

LATER = NOW + timedelta(seconds=1)


def entry(before: object = None, after: object = None, **given: Any) -> AuditEntry:
    made = audit_entry(
        *(A_KEY, NOW, "UpdateAccount", ACCOUNT_SID),
        account_sid=ACCOUNT_SID,
        before=before,
        after=after,
    )
    assert made is not None
    return made


def test_it_says_who_did_what_when_and_from_where() -> None:
    made = entry()
    assert (made.date_created, made.action, made.subject) == (NOW, "UpdateAccount", ACCOUNT_SID)
    assert (made.actor_kind, made.actor) == (ActorKind.API_KEY, A_KEY.id)
    assert (made.actor_name, made.address) == ("first", "192.0.2.1")
    assert (made.account_sid, made.before, made.after) == (ACCOUNT_SID, None, None)


def test_an_actor_gets_the_address_of_a_request() -> None:
    assert SERVER.at("192.0.2.7") == Actor(ActorKind.SERVER, address="192.0.2.7")
    assert A_KEY.at("").address is None


def test_a_change_shows_only_the_fields_that_changed() -> None:
    before = an_account(name="Acme")
    made = entry(before, replace(before, name="Acme Ltd", status=AccountStatus.SUSPENDED))
    assert made.before == {"name": "Acme", "status": "active"}
    assert made.after == {"name": "Acme Ltd", "status": "suspended"}


def test_something_new_is_shown_with_all_its_fields_and_something_deleted_too() -> None:
    key = an_api_key()
    shown = {
        "sid": key.sid,
        "account_sid": ACCOUNT_SID,
        "name": "first",
        "secret_hash": "(secret)",
        "date_created": "2024-07-03T14:40:58Z",
        "role": "full",
        "date_ended": None,
        "date_last_used": None,
    }
    assert entry(after=key).after == shown
    assert entry(before=key).before == shown


def test_nothing_is_told_of_a_change_that_changes_nothing() -> None:
    before = an_account()
    # These fields change with all others.
    after = replace(before, revision=before.revision + 1)
    given = {"account_sid": None, "before": before}
    assert audit_entry(SERVER, NOW, "UpdateAccount", "x", **given, after=before) is None
    assert audit_entry(SERVER, NOW, "UpdateAccount", "x", **given, after=after) is None


def test_a_changed_secret_is_told_but_not_shown() -> None:
    before = replace(an_account(), auth_token="first one", secondary_auth_token=None)
    after = replace(before, auth_token="next one", secondary_auth_token="third one")
    made = entry(before, after)
    assert made.before == {"auth_token": "(secret)", "secondary_auth_token": None}
    assert made.after == {"auth_token": "(secret)", "secondary_auth_token": "(secret)"}
    nested = replace(before, webhook_secrets=an_account(kore_secret="hidden").webhook_secrets)
    assert "hidden" not in repr(entry(before=nested))


@dataclass(frozen=True)
class Thing:
    value: Any
    hidden: str = field(default="x", repr=False)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, None),
        (True, True),
        (7, 7),
        (0.5, 0.5),
        (AccountStatus.ACTIVE, "active"),
        (NOW, "2024-07-03T14:40:58Z"),
        (timedelta(minutes=1), 60.0),
        (b"\0\1", "0001"),
        (("a", 1), ["a", 1]),
        (["a", {"b": NOW}], ["a", {"b": "2024-07-03T14:40:58Z"}]),
        (frozenset({"b", "a"}), ["a", "b"]),
        (CallbackUrl.parse("https://user:pass@a.example/x#rc=1"), "https://a.example/x#rc=1"),
        (Thing(Thing(1)), {"value": {"value": 1, "hidden": "(secret)"}, "hidden": "(secret)"}),
    ],
)
def test_values_are_shown_as_json_has_them(value: object, shown: object) -> None:
    assert entry(after={"field": value}).after == {"field": shown}


def test_a_field_that_only_one_side_has_changed() -> None:
    made = entry({"a": 1, "b": 2}, {"b": 2, "c": None, "d": 3})
    assert (made.before, made.after) == ({"a": 1}, {"d": 3})


def test_a_stored_entry_has_a_sid_made_of_its_number() -> None:
    stored = replace(an_audit_entry(), seq=255)
    assert stored.sid == sid_of(255) == "AU000000000000000000000000000000ff"
    assert seq_of(stored.sid) == 255


@pytest.mark.parametrize("text", ["", "AU", "AUx", "HF000000000000000000000000000000ff"])
def test_other_texts_are_no_sids_of_entries(text: str) -> None:
    assert seq_of(text) is None


def test_an_account_sees_of_the_operator_only_that_it_was_the_operator() -> None:
    own = an_audit_entry()
    assert own.for_account == own
    seen = an_audit_entry(actor=A_KEY._replace(kind=ActorKind.OPERATOR_KEY)).for_account
    assert seen.actor_kind is ActorKind.OPERATOR_KEY
    assert (seen.actor, seen.actor_name, seen.address) == (None, None, None)
