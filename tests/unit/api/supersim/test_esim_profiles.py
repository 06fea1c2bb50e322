"""The operations on eSIM Profiles: ordering, fetching, listing."""

import pytest

from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.core.scheduled_task import ScheduledTask
from ringback.core.sims.scenario import TaskKind
from ringback.core.supersim.esim_profile import EsimProfile, EsimStatus
from ringback.ports import Store, Transaction
from tests.callback_queues import RecordingQueue
from tests.fakes import ACCOUNT_SID, NOW, SIM_SID, TAKES
from tests.unit.api.caller import Caller
from tests.unit.api.world import error, refusal

PATH = "/v1/ESimProfiles"
EID = "89049032005008882600033489aaaaaa"
URL = "http://127.0.0.1:9000/path#cbs=twilio"


def a_record(letter: str, status: EsimStatus, *, sim_sid: str | None = None) -> EsimProfile:
    return EsimProfile(
        sid="HP" + letter * 32,
        account_sid=ACCOUNT_SID,
        status=status,
        eid=EID if sim_sid else "0" * 32,
        has_matching_id=False,
        date_created=NOW,
        date_updated=NOW,
        sim_sid=sim_sid,
    )


@pytest.mark.parametrize(
    ("form", "eid"),
    [
        ({"Eid": EID}, EID),
        ({"Eid": EID.upper()}, EID.upper()),
        ({"GenerateMatchingId": "true"}, None),
        ({"GenerateMatchingId": "true", "Eid": ""}, None),
        ({"GenerateMatchingId": "true", "Eid": EID}, EID),
        ({"GenerateMatchingId": "false", "Eid": EID}, EID),
    ],
)
async def test_a_profile_is_ordered_with_201(
    caller: Caller, form: dict[str, str], eid: str | None
) -> None:
    answer = await caller.post(PATH, form)
    sid = answer.json["sid"]
    assert answer.status == 201
    assert answer.json == {
        "sid": sid,
        "account_sid": ACCOUNT_SID,
        "iccid": None,
        "sim_sid": None,
        "status": "new",
        "eid": eid,
        "smdp_plus_address": None,
        "matching_id": None,
        "activation_code": None,
        "error_code": None,
        "error_message": None,
        "date_created": "2024-07-03T14:40:58Z",
        "date_updated": "2024-07-03T14:40:58Z",
        "url": f"http://127.0.0.1:8080/v1/ESimProfiles/{sid}",
    }
    assert (await caller.get(f"{PATH}/{sid}")).json == answer.json


async def test_an_ordered_profile_is_due_after_the_networks_delay(
    caller: Caller, store: Store
) -> None:
    form = {"GenerateMatchingId": "true", "CallbackUrl": URL, "CallbackMethod": "GET"}
    sid = (await caller.post(PATH, form)).json["sid"]
    task = ScheduledTask(TaskKind.RESERVE_PROFILE, sid, ACCOUNT_SID, NOW + TAKES)
    assert await store.transact(lambda tx: tx.tasks.claim(NOW + TAKES, limit=9)) == [task]
    profile = await store.transact(lambda tx: tx.supersim.esim_profiles.get(sid))
    assert profile is not None
    assert profile.has_matching_id
    assert profile.callback.url is not None
    assert (profile.callback.url.shown, profile.callback.method) == (URL, HttpMethod.GET)


@pytest.mark.parametrize(
    ("form", "code", "message"),
    [
        ({}, 20002, "give Eid or GenerateMatchingId=true"),
        ({"Eid": ""}, 20002, "give Eid or"),
        ({"GenerateMatchingId": "false"}, 20002, "give Eid or"),
        ({"GenerateMatchingId": "yes"}, 83600, "GenerateMatchingId='yes': GenerateMatchingId must"),
        ({"GenerateMatchingId": "True"}, 83600, "GenerateMatchingId='True'"),
        ({"Eid": EID[:-1]}, 83600, f"Eid='{EID[:-1]}': an EID has 32 digits"),
        ({"Eid": "z" * 32}, 83600, f"Eid='{'z' * 32}': an EID has 32 digits"),
        ({"Eid": EID, "CallbackUrl": "http://a.example#cbs=x"}, 11100, "#cbs=x: cbs must be"),
        ({"Eid": EID, "CallbackMethod": "PUT"}, 83600, "CallbackMethod='PUT'"),
    ],
)
async def test_an_impossible_order_says_why_and_is_not_stored(
    caller: Caller, form: dict[str, str], code: int, message: str
) -> None:
    answer = await caller.post(PATH, form)
    assert refusal(answer) == (400, code)
    assert answer.json["message"].startswith(message)
    assert (await caller.get(PATH)).json["esim_profiles"] == []


async def test_an_order_with_a_callback_needs_room_for_it(
    caller: Caller, callback_queue: RecordingQueue
) -> None:
    callback_queue.room = 0
    answer = await caller.post(PATH, {"Eid": EID, "CallbackUrl": URL})
    assert refusal(answer) == (429, 20429)
    assert (await caller.post(PATH, {"Eid": EID})).status == 201


@pytest.mark.parametrize(
    ("query", "letters"),
    [
        ("", "cba"),
        (f"Eid={EID}", "b"),
        (f"SimSid={SIM_SID}", "b"),
        ("SimSid=my_super_sim", ""),
        ("Eid=nobody", ""),
        ("Eid=", ""),
        ("Status=new", "a"),
        ("Status=failed", "c"),
        ("Status=installed", ""),
        (f"Status=available&Eid={EID}&SimSid={SIM_SID}", "b"),
    ],
)
async def test_profiles_are_listed_newest_first_and_filtered(
    caller: Caller, store: Store, query: str, letters: str
) -> None:
    def work(tx: Transaction) -> None:
        tx.supersim.esim_profiles.add(a_record("a", EsimStatus.NEW))
        tx.supersim.esim_profiles.add(a_record("b", EsimStatus.AVAILABLE, sim_sid=SIM_SID))
        tx.supersim.esim_profiles.add(a_record("c", EsimStatus.FAILED))

    await store.transact(work)
    profiles = (await caller.get(f"{PATH}?{query}")).json["esim_profiles"]
    assert "".join(profile["sid"][-1] for profile in profiles) == letters


async def test_a_status_that_profiles_do_not_have_is_refused(caller: Caller) -> None:
    answer = await caller.get(f"{PATH}?Status=ready")
    assert refusal(answer) == (400, 83600)
    assert answer.json["message"].startswith("Status='ready': Status must be one of new, reserving")


async def test_an_unknown_profile_is_not_found(caller: Caller) -> None:
    expected = error(404, 20404, "there is no eSIM Profile with the SID 'nobody'")
    assert (await caller.get(f"{PATH}/nobody")).json == expected


async def test_an_unknown_parameter_of_an_order_is_named(caller: Caller) -> None:
    answer = await caller.post(PATH, {"Eid": EID, "Status": "available"})
    assert answer.headers["ringback-warning"] == "unknown parameters, which had no effect: 'Status'"
    assert answer.json["status"] == "new"
