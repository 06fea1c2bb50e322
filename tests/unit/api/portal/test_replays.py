"""Replaying and discarding callbacks in the portal."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ringback.core.callbacks.callback import CallbackRecord, CallbackStatus
from ringback.core.errors import BacklogFull
from ringback.core.policy.source_policy import Source
from ringback.core.sims.sim_updated import SimUpdated
from ringback.ports import CallbackFilter, Store
from ringback.stores.sqlite.store import SqliteStore
from tests.callback_queues import RecordingQueue
from tests.fakes import ACCOUNT_SID, AUTH_TOKEN, NOW, SIM_SID, VAULT, FakeClock, a_callback
from tests.unit.api.caller import Caller
from tests.unit.api.world import THEIRS, app_on, error, fill, refusal
from tests.wireless_fakes import WIRELESS_SIM_SID, a_wireless_sim

REPLAYS = "/portal/v1/replays"
MINUTE = timedelta(minutes=1)
A_DAY_LATER = NOW + timedelta(days=1)
SIGNED_IN = (ACCOUNT_SID, AUTH_TOKEN)
SCHEDULED, DELIVERED, FAILED, DISCARDED = CallbackStatus
SINCE = {"Since": "2024-07-03T00:00:00Z"}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(A_DAY_LATER)


def sid(number: int) -> str:
    return f"CB{number:032}"


async def add(store: Store, *numbers: int, **kinds: Any) -> None:
    """Add callbacks that failed, one minute after the other."""
    made = [
        a_callback(
            **{
                "sid": sid(number),
                "status": FAILED,
                "due": None,
                "attempt_count": 1,
                "now": NOW + number * MINUTE,
                **kinds,
            }
        )
        for number in numbers
    ]
    await store.transact(lambda tx: [tx.callbacks.add(callback) for callback in made])


async def kept(store: Store) -> list[CallbackRecord]:
    return await store.transact(
        lambda tx: tx.callbacks.oldest(ACCOUNT_SID, CallbackFilter(), after=None, limit=99_999)
    )


async def due_again(store: Store) -> list[str]:
    return [each.sid for each in await kept(store) if each.progress.due == A_DAY_LATER]


def one(number: int, what: str = "replay") -> str:
    return f"/portal/v1/callbacks/{sid(number)}/{what}"


def counts(matched: int, replayed: int, *, is_dry: bool = False, **skipped: int) -> dict[str, Any]:
    return {
        "dry_run": is_dry,
        "matched": matched,
        "replayed": replayed,
        "skipped": skipped,
        "next": None,
    }


# ---- one callback --------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [FAILED, DELIVERED, DISCARDED])
async def test_a_replayed_callback_is_due_again_unchanged(
    caller: Caller, store: Store, callback_queue: RecordingQueue, status: CallbackStatus
) -> None:
    await add(store, 1, status=status)
    before = (await caller.get(f"/portal/v1/callbacks/{sid(1)}")).json
    answer = await caller.post(one(1), {})
    assert answer.status == 200
    assert answer.json == before | {
        "status": "scheduled",
        "date_next_attempt": "2024-07-04T14:40:58Z",
        "date_updated": "2024-07-04T14:40:58Z",
    }
    assert (await caller.get(f"/portal/v1/callbacks/{sid(1)}")).json == answer.json
    assert (callback_queue.changed, callback_queue.asked) == ([sid(1)], [(ACCOUNT_SID, 1)])


async def test_a_replay_from_the_other_source_is_a_new_callback(
    caller: Caller, store: Store
) -> None:
    await add(store, 1, source=Source.KORE)
    answer = await caller.post(one(1), {"AsOtherSource": "yes"})
    assert answer.status == 201
    assert answer.json["sid"] != sid(1)
    assert (answer.json["source"], answer.json["replay_of"]) == ("twilio", sid(1))
    old, new = await kept(store)
    assert new.sid == answer.json["sid"]
    assert (old.status, new.status) == (DISCARDED, SCHEDULED)


async def test_without_the_other_source_it_is_the_same_source(caller: Caller, store: Store) -> None:
    await add(store, 1)
    assert (await caller.post(one(1), {"AsOtherSource": "no"})).json["sid"] == sid(1)


async def test_a_waiting_callback_is_not_sent_from_both_sources(
    caller: Caller, store: Store
) -> None:
    await add(store, 1, status=SCHEDULED, due=NOW)
    answer = await caller.post(one(1), {"AsOtherSource": "yes"})
    assert answer.json == error(
        409,
        20409,
        f"{sid(1)} is scheduled; the other source can send it only after"
        " it was delivered, failed or discarded",
    )
    assert (await caller.post(one(1), {})).status == 200


@pytest.mark.parametrize(("what", "form"), [("replay", {}), ("discard", {"Reason": "enough"})])
async def test_an_attempt_in_progress_is_a_conflict(
    caller: Caller, store: Store, what: str, form: dict[str, str]
) -> None:
    await add(store, 1, status=SCHEDULED, due=None)
    before = await kept(store)
    assert (await caller.post(one(1, what), form)).json == error(
        409, 20409, f"an attempt of {sid(1)} is in progress; try again when it has ended"
    )
    assert await kept(store) == before


@pytest.mark.parametrize(("what", "form"), [("replay", {}), ("discard", {"Reason": "enough"})])
async def test_another_accounts_callback_is_not_found(
    caller: Caller, store: Store, what: str, form: dict[str, str]
) -> None:
    await add(store, 1, account_sid=THEIRS)
    assert (await caller.post(one(1, what), form)).json == error(
        404, 20404, f"there is no callback with the SID {sid(1)!r}"
    )


async def test_a_replay_needs_room(
    caller: Caller, store: Store, callback_queue: RecordingQueue
) -> None:
    await add(store, 1)
    callback_queue.room = 0
    assert refusal(await caller.post(one(1), {})) == (429, 20429)
    assert await due_again(store) == []


# ---- discarding ----------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [SCHEDULED, FAILED])
async def test_a_discarded_callback_has_its_reason(
    caller: Caller, store: Store, callback_queue: RecordingQueue, status: CallbackStatus
) -> None:
    await add(store, 1, status=status, due=NOW if status is SCHEDULED else None)
    answer = await caller.post(one(1, "discard"), {"Reason": "the order was cancelled"})
    assert answer.status == 200
    assert (answer.json["status"], answer.json["status_reason"]) == (
        "discarded",
        "the order was cancelled",
    )
    assert answer.json["date_next_attempt"] is None
    assert callback_queue.changed == [sid(1)]


@pytest.mark.parametrize(
    ("form", "code", "message"),
    [
        ({}, 20002, "Reason is required and was not given"),
        ({"Reason": ""}, 20002, "Reason is required and was not given"),
        ({"Reason": "a\nb"}, 83600, "Reason must be at most 200 printable characters"),
        ({"Reason": "a" * 201}, 83600, "Reason must be at most 200 printable characters"),
    ],
)
async def test_a_discard_needs_a_reason(
    caller: Caller, store: Store, form: dict[str, str], code: int, message: str
) -> None:
    await add(store, 1)
    assert (await caller.post(one(1, "discard"), form)).json == error(400, code, message)


async def test_a_delivered_callback_cannot_be_discarded(caller: Caller, store: Store) -> None:
    await add(store, 1, status=DELIVERED)
    answer = await caller.post(one(1, "discard"), {"Reason": "enough"})
    assert answer.json == error(409, 20409, f"{sid(1)} is delivered already; it can't be discarded")


# ---- many callbacks ------------------------------------------------------------------------------


async def test_the_given_callbacks_are_replayed(caller: Caller, store: Store) -> None:
    await add(store, 1, 2)
    await add(store, 3, status=DELIVERED)
    await add(store, 4, status=SCHEDULED, due=None)
    await add(store, 5, status=DISCARDED)
    named = ",".join(map(sid, (1, 3, 4, 5, 9, 1)))
    answer = await caller.post(REPLAYS, {"Sids": named})
    assert (answer.status, answer.json) == (200, counts(5, 2, delivered=1, under_way=1, unknown=1))
    assert await due_again(store) == [sid(1), sid(5)]


async def test_five_hundred_can_be_given(caller: Caller) -> None:
    answer = await caller.post(REPLAYS, {"Sids": ",".join(map(sid, range(500)))})
    assert answer.json == counts(500, 0, unknown=500)


async def test_given_callbacks_can_be_filtered_further(caller: Caller, store: Store) -> None:
    await add(store, 1)
    await add(store, 2, status=DELIVERED)
    answer = await caller.post(REPLAYS, {"Sids": f"{sid(1)},{sid(2)}", "Status": "delivered"})
    assert answer.json == counts(2, 1, failed=1)
    assert await due_again(store) == [sid(2)]


async def test_a_dry_run_counts_and_changes_nothing(
    caller: Caller, store: Store, callback_queue: RecordingQueue
) -> None:
    await add(store, 1, 2)
    before = await kept(store)
    callback_queue.room = 0
    answer = await caller.post(REPLAYS, SINCE | {"DryRun": "yes", "AsOtherSource": "yes"})
    assert answer.json == counts(2, 2, is_dry=True)
    assert await kept(store) == before


async def test_all_that_failed_since_an_instant_are_replayed(caller: Caller, store: Store) -> None:
    await add(store, 1, 2, 3)
    await add(store, 4, status=DISCARDED)
    await add(store, 5, status=DELIVERED)
    await add(store, 6, attempt_count=0)
    answer = await caller.post(REPLAYS, {"Since": "2024-07-03T14:42:58Z", "DryRun": "no"})
    assert answer.json == counts(3, 3)
    assert await due_again(store) == [sid(2), sid(3), sid(6)]


@pytest.mark.parametrize(
    ("form", "replayed"),
    [
        ({"Until": "2024-07-03T14:42:58Z"}, [1]),
        ({"Source": "twilio"}, [3]),
        ({"Status": "discarded"}, [4]),
        ({"Status": "undelivered"}, [1, 2, 3, 4]),
        ({"Status": "delivered"}, [5]),
        ({"Destination": "https://b.example"}, [2]),
        ({"Event": "sim"}, [1, 2]),
        ({"Event": "wireless"}, [3]),
        ({"SimSid": SIM_SID}, [1, 2]),
        ({"SimSid": WIRELESS_SIM_SID, "Event": "sim"}, []),
        ({"After": sid(2)}, [3]),
    ],
)
async def test_replayed_callbacks_can_be_filtered(
    caller: Caller, store: Store, form: dict[str, str], replayed: list[int]
) -> None:
    await add(store, 1)
    await add(store, 2, url="https://b.example/p")
    of_wireless = SimUpdated.of(a_wireless_sim())
    await add(store, 3, source=Source.TWILIO, event=of_wireless)
    await add(store, 4, status=DISCARDED)
    await add(store, 5, status=DELIVERED)
    answer = await caller.post(REPLAYS, SINCE | form)
    assert answer.json["replayed"] == len(replayed)
    assert await due_again(store) == list(map(sid, replayed))


async def test_all_can_be_replayed_from_the_other_source_and_none_twice(
    caller: Caller, store: Store
) -> None:
    await add(store, 1, 2, source=Source.KORE)
    form = SINCE | {"AsOtherSource": "yes"}
    assert (await caller.post(REPLAYS, form)).json == counts(2, 2)
    new = [each for each in await kept(store) if each.replay_of]
    assert [(each.replay_of, each.source) for each in new] == [
        (sid(1), Source.TWILIO),
        (sid(2), Source.TWILIO),
    ]
    assert (await caller.post(REPLAYS, form)).json == counts(0, 0)


async def test_only_ended_callbacks_are_sent_from_the_other_source(
    caller: Caller, store: Store
) -> None:
    await add(store, 1)
    await add(store, 2, status=SCHEDULED, due=NOW)
    form = {"Sids": f"{sid(1)},{sid(2)}", "AsOtherSource": "yes"}
    assert (await caller.post(REPLAYS, form)).json == counts(2, 1, scheduled=1)


async def test_thousands_are_processed_in_parts(
    caller: Caller, store: Store, callback_queue: RecordingQueue
) -> None:
    await add(store, *range(1200))
    assert (await caller.post(REPLAYS, SINCE)).json == counts(1200, 1200)
    assert callback_queue.asked == [(ACCOUNT_SID, 500)] * 3
    assert callback_queue.changed == list(map(sid, range(1200)))


async def test_a_call_ends_after_ten_thousand_and_says_how_to_continue(tmp_path: Path) -> None:
    store = SqliteStore.open(tmp_path / "ringback.db", VAULT)
    await store.transact(fill)
    await add(store, *range(10_001), now=NOW)
    caller = Caller(app_on(store, clock=FakeClock(A_DAY_LATER)), credentials=SIGNED_IN)
    first = (await caller.post(REPLAYS, SINCE)).json
    further = {"After": sid(9_999), "Until": "2024-07-04T14:40:58.000000Z"}
    assert (first["replayed"], first["next"]) == (10_000, further)
    assert (await caller.post(REPLAYS, SINCE | further)).json == counts(1, 1)
    assert (await caller.post(REPLAYS, SINCE)).json == counts(0, 0)
    await store.close()


class FillsUp(RecordingQueue):
    """A queue with room for the callbacks of one transaction."""

    def make_room(self, account_sid: str, count: int) -> None:
        super().make_room(account_sid, count)
        if len(self.asked) > 1:
            raise BacklogFull("full", retry_after=5)


async def test_if_room_runs_out_the_answer_says_how_to_continue(store: Store) -> None:
    await add(store, *range(600), now=NOW)
    app = app_on(store, callback_queue=FillsUp(), clock=FakeClock(A_DAY_LATER))
    caller = Caller(app, credentials=SIGNED_IN)
    answer = (await caller.post(REPLAYS, SINCE)).json
    assert (answer["replayed"], answer["next"]["After"]) == (500, sid(499))
    assert refusal(await caller.post(REPLAYS, SINCE | answer["next"])) == (429, 20429)


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({}, "give either Sids, or Since to replay all callbacks created since then"),
        ({"Sids": ""}, "give either Sids, or Since to replay all callbacks created since then"),
        (
            SINCE | {"Sids": "CB1"},
            "give either Sids, or Since to replay all callbacks created since then",
        ),
        ({"Sids": "CB1", "Source": "kore"}, "Source is allowed only with Since, not with Sids"),
        ({"Sids": "CB1", "Event": "sim"}, "Event is allowed only with Since, not with Sids"),
        ({"Sids": "CB1", "Until": "x"}, "Until is allowed only with Since, not with Sids"),
        (
            {"Sids": ",".join(map(sid, range(501)))},
            "Sids names 501 callbacks; at most 500 can be named",
        ),
        ({"Since": "2h"}, "Since='2h': it must be a date and time like 2026-11-24T10:00:00Z"),
        (SINCE | {"DryRun": "maybe"}, "DryRun='maybe': DryRun must be one of yes, no"),
        (SINCE | {"AsOtherSource": ""}, "AsOtherSource='': AsOtherSource must be one of yes, no"),
        (
            SINCE | {"Status": "scheduled", "AsOtherSource": "yes"},
            "Status=scheduled: only callbacks that have ended can be replayed from another source",
        ),
    ],
)
async def test_an_impossible_replay_says_why(
    caller: Caller, store: Store, form: dict[str, str], message: str
) -> None:
    await add(store, 1)
    assert (await caller.post(REPLAYS, form)).json == error(400, 83600, message)
    assert await due_again(store) == []


async def test_another_accounts_callbacks_are_not_replayed(caller: Caller, store: Store) -> None:
    await add(store, 1, account_sid=THEIRS)
    assert (await caller.post(REPLAYS, SINCE)).json == counts(0, 0)
    assert (await caller.post(REPLAYS, {"Sids": sid(1)})).json == counts(1, 0, unknown=1)


@pytest.mark.parametrize("target", [REPLAYS, one(1), one(1, "discard")])
async def test_without_credentials_nothing_is_changed(
    caller: Caller, store: Store, target: str
) -> None:
    await add(store, 1)
    before = await kept(store)
    assert (await caller.post(target, SINCE | {"Reason": "x"}, authorization="")).status == 401
    assert await kept(store) == before


async def test_an_unknown_parameter_is_named(caller: Caller, store: Store) -> None:
    await add(store, 1)
    answer = await caller.post(one(1), {"DryRun": "yes"})
    assert answer.headers["ringback-warning"] == "unknown parameters, which had no effect: 'DryRun'"
