"""Jobs in the portal: previewed, created, listed, and moved."""

from dataclasses import replace
from typing import Any

import pytest

from ringback.api.app import create_app
from ringback.api.portal import jobs as jobs_module
from ringback.core.callbacks.callback import CallbackStatus
from ringback.core.job import Job, JobStatus, cancel, pause
from ringback.core.policy.source_policy import Source
from ringback.operations.jobs import MOST_UNFINISHED, BulkReplay
from ringback.ports import CallbackFilter, Store
from tests.fakes import ACCOUNT_SID, AUTH_TOKEN, NOW, FakeClock, an_api_key
from tests.stores.records import job
from tests.unit.api.caller import Caller
from tests.unit.api.portal.test_replays import A_DAY_LATER, MINUTE, add, clock
from tests.unit.api.world import THEIRS, CountingNotifier, dependencies_on, refusal

__all__ = ["clock"]

JOBS = "/portal/v1/jobs"
REPLAY = {"Kind": "replay", "Since": "2024-07-03T00:00:00Z"}
PREVIEW = f"{JOBS}/preview?Kind=replay&Since=2024-07-03T00:00:00Z"
OPERATOR = an_api_key(f"SK{'0' * 32}", None, "the operator's")


def ours(number: int, **fields: Any) -> Job:
    return replace(job(number, ACCOUNT_SID), **fields)


async def keep(store: Store, *jobs: Job) -> None:
    await store.transact(lambda tx: [tx.jobs.add(one) for one in jobs])


async def stored(store: Store, sid: str) -> Job:
    found = await store.transact(lambda tx: tx.jobs.get(sid))
    assert found is not None
    return found


# ---- creating


async def test_a_new_job_runs_and_says_what_it_will_do(caller: Caller, store: Store) -> None:
    await add(store, 1, 2)
    await add(store, 3, status=CallbackStatus.DELIVERED)
    answer = await caller.post(JOBS, REPLAY)
    assert answer.status == 201
    assert answer.json == {
        "sid": answer.json["sid"],
        "account_sid": ACCOUNT_SID,
        "kind": "replay",
        "parameters": {
            "statuses": ["failed"],
            "since": "2024-07-03T00:00:00Z",
            "until": "2024-07-04T14:40:58Z",
            "as_other_source": False,
        },
        "status": "running",
        "status_reason": None,
        "done": 0,
        "counts": {},
        "estimate": 2,
        "is_exact": True,
        "rate": None,
        "created_by": f"account {ACCOUNT_SID}",
        "date_created": "2024-07-04T14:40:58Z",
        "date_updated": "2024-07-04T14:40:58Z",
        "date_ended": None,
        "plan_id": None,
    }
    assert answer.json["sid"].startswith("JO")
    assert (await caller.get(f"{JOBS}/{answer.json['sid']}")).json == answer.json


async def test_all_filters_and_limits_are_kept(caller: Caller, store: Store) -> None:
    form = REPLAY | {
        "Until": "2024-07-04T00:00:00Z",
        "Status": "undelivered",
        "Source": "kore",
        "Destination": "http://127.0.0.1:9000/path",
        "Event": "sms",
        "SimSid": "HS" + "0" * 32,
        "AsOtherSource": "yes",
        "Most": "7",
        "Rate": "50",
    }
    answer = await caller.post(JOBS, form)
    made = await stored(store, answer.json["sid"])
    assert made.rate == answer.json["rate"] == 50
    assert BulkReplay.of(made.parameters) == BulkReplay(
        which=CallbackFilter(
            statuses=frozenset({CallbackStatus.FAILED, CallbackStatus.DISCARDED}),
            source=Source.KORE,
            destination="http://127.0.0.1:9000",
            since=NOW.replace(hour=0, minute=0, second=0),
            until=A_DAY_LATER.replace(hour=0, minute=0, second=0),
            event="sms",
            sim_sid="HS" + "0" * 32,
        ),
        is_from_other_source=True,
        most=7,
    )


async def test_a_job_never_replays_callbacks_that_are_newer_than_itself(
    caller: Caller, store: Store
) -> None:
    answer = await caller.post(JOBS, REPLAY | {"Until": "2030-01-01T00:00:00Z"})
    assert answer.json["parameters"]["until"] == "2024-07-04T14:40:58Z"


async def test_the_same_idempotency_key_creates_one_job(caller: Caller, store: Store) -> None:
    form = REPLAY | {"IdempotencyKey": "once"}
    first, second = await caller.post(JOBS, form), await caller.post(JOBS, form)
    assert (second.status, second.json) == (201, first.json)
    assert (await caller.post(JOBS, REPLAY)).json["sid"] != first.json["sid"]
    assert len((await caller.get(JOBS)).json["jobs"]) == 2


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"Since": "2024-07-03T00:00:00Z"}, "Kind is required and was not given"),
        ({"Kind": "move", "Since": "2024-07-03T00:00:00Z"}, "Kind must be one of replay"),
        ({"Kind": "replay"}, "Since is required and was not given"),
        (REPLAY | {"Sids": "CB1"}, "a job takes no Sids"),
        (REPLAY | {"After": "CB1"}, "a job takes no After"),
        (REPLAY | {"Rate": "0"}, "Rate must be a whole number from 1 to 1000000"),
        (REPLAY | {"Most": "many"}, "Most must be a whole number from 1 to 1000000000"),
        (REPLAY | {"IdempotencyKey": "x" * 256}, "IdempotencyKey must be at most 255"),
        (
            REPLAY | {"Status": "scheduled", "AsOtherSource": "yes"},
            "only callbacks that have ended",
        ),
    ],
)
async def test_a_wrong_request_creates_no_job(
    caller: Caller, store: Store, form: dict[str, str], message: str
) -> None:
    answer = await caller.post(JOBS, form)
    assert answer.status == 400
    assert message in answer.json["message"]
    assert (await caller.get(JOBS)).json["jobs"] == []


async def test_too_many_unfinished_jobs_are_refused(caller: Caller, store: Store) -> None:
    await keep(store, *map(ours, range(MOST_UNFINISHED)))
    assert refusal(await caller.post(JOBS, REPLAY)) == (409, 20409)


async def test_the_loop_is_woken_after_each_change(store: Store, clock: FakeClock) -> None:
    loop = CountingNotifier()
    dependencies = replace(dependencies_on(store, clock=clock), wake_jobs=loop.wake)
    caller = Caller(create_app(dependencies, beside=()), credentials=(ACCOUNT_SID, AUTH_TOKEN))
    made = await caller.post(JOBS, REPLAY)
    assert loop.times == 1
    for verb in ("pause", "resume", "cancel"):
        await caller.post(f"{JOBS}/{made.json['sid']}/{verb}", {})
    assert loop.times == 4


# ---- previews


async def test_a_preview_counts_and_changes_nothing(caller: Caller, store: Store) -> None:
    await add(store, 1, 2, 3)
    await add(store, 4, status=CallbackStatus.DELIVERED)
    answer = await caller.get(PREVIEW)
    assert answer.status == 200
    assert answer.json == {
        "kind": "replay",
        "estimate": 3,
        "is_exact": True,
        "skipped": {},
        "destinations": [{"destination": "http://127.0.0.1:9000", "source": "kore", "count": 3}],
        "until": "2024-07-04T14:40:58Z",
    }
    assert (await caller.get(JOBS)).json["jobs"] == []


async def test_a_preview_counts_what_would_be_skipped(caller: Caller, store: Store) -> None:
    await add(store, 1)
    await add(store, 2, is_test=True)
    answer = await caller.get(f"{PREVIEW}&AsOtherSource=yes")
    assert (answer.json["estimate"], answer.json["skipped"]) == (1, {"test": 1})


async def test_a_preview_counts_no_more_than_asked_for(caller: Caller, store: Store) -> None:
    await add(store, 1, 2, 3)
    answer = (await caller.get(f"{PREVIEW}&Most=2")).json
    assert (answer["estimate"], answer["is_exact"]) == (2, True)
    assert [one["count"] for one in answer["destinations"]] == [2]


async def test_a_count_that_takes_too_long_is_a_lower_bound(
    caller: Caller, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs_module, "COUNTED_AT_ONCE", 2)
    await add(store, 1, 2, 3)
    assert (await caller.get(PREVIEW)).json["estimate"] == 3
    monkeypatch.setattr(jobs_module, "_COUNTED_FOR", -1.0)
    answer = (await caller.get(PREVIEW)).json
    assert (answer["estimate"], answer["is_exact"]) == (2, False)
    made = (await caller.post(JOBS, REPLAY)).json
    assert (made["estimate"], made["is_exact"]) == (2, False)


# ---- lists and moves


async def test_jobs_are_listed_newest_first_by_status(caller: Caller, store: Store) -> None:
    await keep(store, ours(1), ours(2, status=JobStatus.DONE), ours(3), job(4, THEIRS))
    listed = (await caller.get(JOBS)).json["jobs"]
    assert [one["sid"] for one in listed] == [ours(number).sid for number in (3, 2, 1)]
    done = (await caller.get(f"{JOBS}?Status=done")).json["jobs"]
    assert [one["sid"] for one in done] == [ours(2).sid]


async def test_the_operator_sees_and_moves_all_jobs(store: Store, app: Any) -> None:
    await store.transact(lambda tx: tx.accounts.keys.add(OPERATOR))
    await keep(store, ours(1), job(2, THEIRS))
    operator = Caller(app, credentials=(OPERATOR.sid, "the operator's"))
    assert len((await operator.get(JOBS)).json["jobs"]) == 2
    answer = await operator.post(f"{JOBS}/{job(2).sid}/cancel", {})
    assert (answer.status, answer.json["account_sid"]) == (200, THEIRS)
    assert (await operator.post(JOBS, REPLAY)).status == 400
    call = await operator.post(JOBS, REPLAY, **{"ringback-account": ACCOUNT_SID})
    assert call.json["created_by"] == "the operator"


async def test_a_job_is_paused_resumed_and_cancelled(
    caller: Caller, store: Store, clock: FakeClock
) -> None:
    await keep(store, ours(1))
    for verb, status in (("pause", "paused"), ("resume", "running"), ("cancel", "cancelled")):
        clock.advance(MINUTE)
        answer = await caller.post(f"{JOBS}/{ours(1).sid}/{verb}", {})
        assert (answer.status, answer.json["status"]) == (200, status)
        assert (await stored(store, ours(1).sid)).date_updated == clock.now()
    assert answer.json["date_ended"] == "2024-07-04T14:43:58Z"


@pytest.mark.parametrize(
    ("verb", "begun"),
    [("pause", pause(ours(1), NOW)), ("resume", ours(1)), ("cancel", cancel(ours(1), NOW))],
)
async def test_a_move_that_is_not_possible_is_a_conflict(
    caller: Caller, store: Store, verb: str, begun: Job
) -> None:
    await keep(store, begun)
    assert refusal(await caller.post(f"{JOBS}/{begun.sid}/{verb}", {})) == (409, 20409)
    assert await stored(store, begun.sid) == begun


@pytest.mark.parametrize("verb", ["", "/pause", "/resume", "/cancel"])
async def test_a_job_of_another_account_is_not_found(
    caller: Caller, store: Store, verb: str
) -> None:
    await keep(store, job(1, THEIRS))
    path = f"{JOBS}/{job(1).sid}{verb}"
    answer = await (caller.post(path, {}) if verb else caller.get(path))
    assert refusal(answer) == (404, 20404)
    assert await stored(store, job(1).sid) == job(1, THEIRS)
