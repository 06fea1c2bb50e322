"""Links: who may create, open and end one, and what the person who opens it is told."""

from dataclasses import replace
from datetime import timedelta

import pytest

from ringback.core.accounts.account import EVERY, AccountStatus
from ringback.core.accounts.shared_link import LinkKind
from ringback.core.audit import ActorKind
from ringback.core.errors import Forbidden, InvalidParameter, NoLongerThere, NotFound
from ringback.operations.accounts import set_status
from ringback.operations.shared_links import (
    CreatedLink,
    create_link,
    end_link,
    link_to_callback,
    link_to_destination,
    note_visit,
    open_link,
)
from ringback.ports import Lane
from ringback.ports.callbacks import lane_of
from tests.fakes import ACCOUNT_SID, CALLBACK_SID, NOW, a_callback, a_context, an_account
from tests.memory_store import MemoryTransaction

THEIRS = "AC" + "e" * 32
DAY = timedelta(days=1)
SUBJECT = (ACCOUNT_SID, CALLBACK_SID)


@pytest.fixture
def tx() -> MemoryTransaction:
    tx = MemoryTransaction()
    for sid in (ACCOUNT_SID, THEIRS):
        tx.accounts.add(an_account(sid=sid), [])
    tx.callbacks.add(a_callback())
    return tx


def made_in(tx: MemoryTransaction, note: str | None = None) -> CreatedLink:
    return create_link(
        *(tx, LinkKind.CALLBACK, SUBJECT, a_context()), expires=NOW + 7 * DAY, note=note
    )


@pytest.mark.parametrize("asked_by", [ACCOUNT_SID, EVERY])
def test_the_account_of_a_callback_and_the_operator_can_link_to_it(
    tx: MemoryTransaction, asked_by: str
) -> None:
    assert link_to_callback(tx, asked_by, CALLBACK_SID) == SUBJECT


@pytest.mark.parametrize(
    ("asked_by", "sid"),
    [(THEIRS, CALLBACK_SID), (ACCOUNT_SID, "CB" + "0" * 32), (EVERY, "CB" + "0" * 32)],
)
def test_others_can_not(tx: MemoryTransaction, asked_by: str, sid: str) -> None:
    with pytest.raises(InvalidParameter, match=f"Callback='{sid}': there is no callback"):
        link_to_callback(tx, asked_by, sid)


def test_only_a_destination_of_the_account_can_be_linked_to(tx: MemoryTransaction) -> None:
    lane = lane_of(a_callback())
    assert link_to_destination(tx, lane) == (ACCOUNT_SID, lane.destination)
    with pytest.raises(InvalidParameter, match=f"no callback of {THEIRS} was ever sent to"):
        link_to_destination(tx, Lane(THEIRS, lane.destination))


def test_an_opened_link_has_a_reader_of_its_account_that_can_change_nothing(
    tx: MemoryTransaction,
) -> None:
    made = made_in(tx, "for Jo")
    link, reader = open_link(tx, made.token, NOW).link, open_link(tx, made.token, NOW).reader
    assert (link.kind, link.subject, link.note) == (LinkKind.CALLBACK, CALLBACK_SID, "for Jo")
    assert (reader.account, reader.is_read_only, reader.until) == (
        an_account(),
        True,
        link.date_expires,
    )
    assert reader.actor.kind is ActorKind.SERVER


def test_its_token_is_neither_stored_nor_printed(tx: MemoryTransaction) -> None:
    made = made_in(tx)
    assert made.token not in repr(made)
    assert made.token != tx.shared_links.records[made.link.sid].token_hash
    (entry,) = tx.audit.entries.values()
    assert (entry.action, entry.subject, entry.account_sid) == (
        "CreateLink",
        made.link.sid,
        ACCOUNT_SID,
    )
    assert entry.after is not None
    assert entry.after["token_hash"] == "(secret)"


@pytest.mark.parametrize("note", ["", "a\nb", "x" * 65])
def test_an_unprintable_note_is_refused(tx: MemoryTransaction, note: str) -> None:
    with pytest.raises(InvalidParameter, match="a link's note"):
        made_in(tx, note)
    assert tx.shared_links.records == {}


def test_an_unknown_link_and_one_whose_time_is_over_say_whom_to_ask(tx: MemoryTransaction) -> None:
    with pytest.raises(NotFound, match="There is no such link"):
        open_link(tx, "unknown", NOW)
    made = made_in(tx)
    with pytest.raises(NoLongerThere) as gone:
        open_link(tx, made.token, NOW + 7 * DAY)
    day = "10 July 2024"
    assert f"{made.link.date_expires:%Y-%m-%d}" == "2024-07-10"
    assert gone.value.message == (
        f"This link ended on {day}. Ask who sent it to you for a new one."
    )


def test_a_link_that_was_ended_says_when(tx: MemoryTransaction) -> None:
    made = made_in(tx)
    end_link(tx, ACCOUNT_SID, made.link.sid, a_context(now=NOW + DAY))
    with pytest.raises(NoLongerThere, match="This link ended on 4 July 2024"):
        open_link(tx, made.token, NOW + 2 * DAY)
    *_, entry = tx.audit.entries.values()
    assert (entry.action, entry.subject) == ("EndLink", made.link.sid)


def test_only_its_account_or_the_operator_can_end_it_and_only_once(tx: MemoryTransaction) -> None:
    made = made_in(tx)
    with pytest.raises(NotFound, match="there is no link"):
        end_link(tx, THEIRS, made.link.sid, a_context())
    end_link(tx, EVERY, made.link.sid, a_context())
    with pytest.raises(NotFound, match="has ended already"):
        end_link(tx, ACCOUNT_SID, made.link.sid, a_context())


def test_one_whose_time_is_over_can_not_be_ended(tx: MemoryTransaction) -> None:
    made = made_in(tx)
    with pytest.raises(NotFound, match="has expired already"):
        end_link(tx, ACCOUNT_SID, made.link.sid, a_context(now=NOW + 8 * DAY))


@pytest.mark.parametrize("suspended", [ACCOUNT_SID, THEIRS])
def test_a_link_of_a_suspended_account_or_subaccount_does_not_open(
    tx: MemoryTransaction, suspended: str
) -> None:
    made = made_in(tx)
    tx.accounts.save(replace(an_account(), parent_sid=THEIRS))
    set_status(tx, suspended, AccountStatus.SUSPENDED, a_context())
    with pytest.raises(Forbidden) as refused:
        open_link(tx, made.token, NOW)
    assert suspended not in refused.value.message


def test_visits_are_counted(tx: MemoryTransaction) -> None:
    sid = made_in(tx).link.sid
    for minutes in (0, 0, 10, 60):
        note_visit(tx, sid, NOW + timedelta(minutes=minutes))
    link = tx.shared_links.records[sid]
    assert (link.uses, link.date_last_used) == (2, NOW + timedelta(hours=1))
    note_visit(tx, "unknown", NOW)
