"""Sessions of the console: begun by a sign-in, and ended by time, sign-out or the credential."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from ringback.core.accounts.account import Account, AccountStatus, ApiKeyRole
from ringback.core.audit import ActorKind, AuditEntry
from ringback.core.errors import Unauthorized
from ringback.operations.accounts import set_status
from ringback.operations.api_keys import create_key, end_key
from ringback.operations.auth_tokens import create_secondary, delete_secondary, promote_secondary
from ringback.operations.authentication import sign_in
from ringback.operations.console_sessions import (
    BegunSession,
    begin_session,
    end_session,
    session_caller,
)
from tests.fakes import ACCOUNT_SID, AUTH_TOKEN, NOW, SeededRandomness, a_context, an_account
from tests.memory_store import MemoryTransaction

OUTSIDE = NOW + timedelta(days=400)
"""The time by the system's clock, which is not that of the server."""
ADDRESS = "192.0.2.7"


class World:
    """A store with an account, and what one does in a browser."""

    def __init__(self) -> None:
        self.tx = MemoryTransaction()
        self.tx.accounts.add(an_account(), [])
        self.context = a_context(random_source=SeededRandomness())

    def begin(
        self, username: str = ACCOUNT_SID, password: str = AUTH_TOKEN, at: datetime = OUTSIDE
    ) -> BegunSession:
        return begin_session(self.tx, username, password, self.context, outside=at, address=ADDRESS)

    def refusal(self, token: str, at: datetime = OUTSIDE) -> str:
        with pytest.raises(Unauthorized) as refused:
            session_caller(self.tx, token, at)
        return refused.value.message

    @property
    def account(self) -> Account:
        account = self.tx.accounts.get(ACCOUNT_SID)
        assert account is not None
        return account

    @property
    def last_entry(self) -> AuditEntry:
        return [*self.tx.audit.entries.values()][-1]


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize("owner", [ACCOUNT_SID, None])
@pytest.mark.parametrize("role", ApiKeyRole)
def test_the_caller_is_the_one_that_signed_in_with_the_key(
    world: World, owner: str | None, role: ApiKeyRole
) -> None:
    made = create_key(world.tx, owner, "laptop", world.context, role=role)
    begun = world.begin(made.key.sid, made.secret)
    expected = sign_in(world.tx, made.key.sid, made.secret)
    assert begun.caller == expected
    found = session_caller(world.tx, begun.token, OUTSIDE)
    assert found == replace(expected, until=OUTSIDE + timedelta(hours=12))


def test_the_caller_is_the_one_that_signed_in_with_the_auth_token(world: World) -> None:
    begun = world.begin()
    found = session_caller(world.tx, begun.token, OUTSIDE)
    assert found.account == an_account()
    assert found.actor.kind is ActorKind.AUTH_TOKEN


def test_wrong_credentials_begin_nothing(world: World) -> None:
    with pytest.raises(Unauthorized):
        world.begin(password="wrong")
    assert world.tx.console_sessions.sessions == {}
    assert world.tx.audit.entries == {}


def test_two_sessions_have_tokens_of_their_own_which_are_not_stored(world: World) -> None:
    one, other = world.begin(), world.begin()
    assert one.token != other.token
    assert len(one.token) == 43
    stored = str([vars_of(one) for one in world.tx.console_sessions.sessions.values()])
    for secret in (one.token, other.token, AUTH_TOKEN):
        assert secret not in stored
        assert secret not in repr(one)


def vars_of(session: object) -> dict[str, object]:
    return {name: getattr(session, name) for name in type(session).__slots__}  # type: ignore[attr-defined] (a dataclass)


def test_beginning_and_ending_leave_entries_of_who_signed_in_and_from_where(world: World) -> None:
    begun = world.begin()
    entry = world.last_entry
    assert (entry.action, entry.subject, entry.account_sid) == (
        "SignIn",
        begun.session.sid,
        ACCOUNT_SID,
    )
    assert (entry.actor_kind, entry.actor, entry.address) == (
        ActorKind.AUTH_TOKEN,
        ACCOUNT_SID,
        ADDRESS,
    )
    assert entry.date_created == NOW
    assert entry.after is not None
    assert entry.after["token_hash"] == entry.after["proof"] == "(secret)"
    end_session(world.tx, begun.token, world.context, address="192.0.2.8")
    entry = world.last_entry
    assert (entry.action, entry.subject, entry.account_sid) == (
        "SignOut",
        begun.session.sid,
        ACCOUNT_SID,
    )
    assert (entry.actor, entry.address) == (ACCOUNT_SID, "192.0.2.8")


def test_an_ended_session_signs_in_nobody_and_others_go_on(world: World) -> None:
    one, other = world.begin(), world.begin()
    end_session(world.tx, one.token, world.context)
    assert "it has ended: sign in again" in world.refusal(one.token)
    assert session_caller(world.tx, other.token, OUTSIDE).account == an_account()


def test_all_sessions_of_a_credential_can_be_ended_at_once(world: World) -> None:
    made = create_key(world.tx, ACCOUNT_SID, "laptop", world.context)
    one, other, by_key = world.begin(), world.begin(), world.begin(made.key.sid, made.secret)
    end_session(world.tx, one.token, world.context, everywhere=True)
    for each in (one, other):
        assert world.refusal(each.token)
    assert session_caller(world.tx, by_key.token, OUTSIDE).actor.id == made.key.sid


def test_to_end_a_session_that_is_over_does_nothing(world: World) -> None:
    end_session(world.tx, "unknown", world.context, everywhere=True)
    assert world.tx.audit.entries == {}


def test_a_session_that_is_not_used_ends_and_says_so(world: World) -> None:
    token = world.begin().token
    assert world.refusal(token, OUTSIDE + timedelta(hours=12)) == (
        "the session has ended, because it was not used for 12 hours: sign in again"
    )


def test_sessions_that_have_ended_are_deleted_when_another_begins(world: World) -> None:
    world.begin()
    later = world.begin(at=OUTSIDE + timedelta(hours=13))
    assert [*world.tx.console_sessions.sessions] == [later.session.sid]


def test_it_ends_with_its_api_key(world: World) -> None:
    made = create_key(world.tx, None, "laptop", world.context)
    token = world.begin(made.key.sid, made.secret).token
    end_key(world.tx, made.key.sid, world.context)
    assert world.refusal(token) == (
        f"the session has ended, because the API key {made.key.sid} (laptop) is not valid any more:"
        " sign in again"
    )
    end_session(world.tx, token, world.context)
    assert world.last_entry.actor == made.key.sid


def test_it_ends_with_the_auth_token_that_signed_in(world: World) -> None:
    secondary = create_secondary(world.tx, ACCOUNT_SID, world.context).secondary_auth_token
    assert secondary is not None
    by_primary, by_secondary = world.begin(), world.begin(password=secondary)
    promote_secondary(world.tx, ACCOUNT_SID, world.context)
    assert f"that Auth Token of account {ACCOUNT_SID} is not valid" in world.refusal(
        by_primary.token
    )
    assert session_caller(world.tx, by_secondary.token, OUTSIDE).account == world.account


def test_it_ends_with_a_secondary_auth_token_that_is_deleted(world: World) -> None:
    secondary = create_secondary(world.tx, ACCOUNT_SID, world.context).secondary_auth_token
    assert secondary is not None
    token = world.begin(password=secondary).token
    delete_secondary(world.tx, ACCOUNT_SID, world.context)
    assert "is not valid any more" in world.refusal(token)


def test_the_sessions_of_a_suspended_account_end_and_stay_ended(world: World) -> None:
    token = world.begin().token
    set_status(world.tx, ACCOUNT_SID, AccountStatus.SUSPENDED, world.context)
    assert world.tx.console_sessions.sessions == {}
    set_status(world.tx, ACCOUNT_SID, AccountStatus.ACTIVE, world.context)
    with pytest.raises(Unauthorized, match="it has ended"):
        session_caller(world.tx, token, OUTSIDE)


def test_a_suspension_of_a_parent_ends_the_sessions_of_its_subaccounts(world: World) -> None:
    sid = "AC" + "f" * 32
    child = an_account(sid=sid, parent_sid=ACCOUNT_SID)
    world.tx.accounts.add(child, [])
    token = world.begin(sid, child.auth_token).token
    set_status(world.tx, ACCOUNT_SID, AccountStatus.SUSPENDED, world.context)
    with pytest.raises(Unauthorized):
        session_caller(world.tx, token, OUTSIDE)
