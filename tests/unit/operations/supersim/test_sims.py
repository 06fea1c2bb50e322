"""Super SIMs: registered, found and updated, in a store in memory."""

import copy
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from ipaddress import IPv4Network
from typing import Final

import pytest

from ringback.core.callback_urls.callback_target import CallbackTarget
from ringback.core.callback_urls.callback_url import CallbackUrl, HttpMethod
from ringback.core.callbacks.callback import CallbackRecord
from ringback.core.errors import ApiError, Conflict, InvalidParameter, NotFound
from ringback.core.policy.source_policy import Source
from ringback.core.scheduled_task import ScheduledTask
from ringback.core.sims.scenario import TaskKind
from ringback.core.sims.simulated_network import device_address
from ringback.core.supersim.sim import SimStatus, SuperSim
from ringback.operations.supersim.sims import (
    SuperSimUpdateRequest,
    UpdatedSuperSim,
    fetch_sim,
    list_sims,
    register_sim,
    update_sim,
)
from ringback.ports import CallbackFilter, PageWindow
from tests.fakes import (
    ACCOUNT_SID,
    FLEET_SID,
    NOW,
    SIM_SID,
    TAKES,
    a_context,
    a_fleet,
    a_sim,
    an_account,
    an_update,
)
from tests.memory_store import MemoryTransaction

THEIRS: Final = "AC" + "f" * 32
OTHER_SIM: Final = "HS" + "e" * 32
OTHER_FLEET: Final = "HF" + "d" * 32
ICCID: Final = "89883070000123456789"
LATER: Final = NOW + timedelta(hours=1)
URL: Final = CallbackUrl.parse("http://127.0.0.1:9000/path?foo=bar#cbs=kore")
CALLBACK: Final = CallbackTarget(URL)


@pytest.fixture
def tx() -> MemoryTransaction:
    """Make two accounts, of which ours has two fleets."""
    tx = MemoryTransaction()
    tx.accounts.add(an_account(), [])
    tx.accounts.add(an_account(sid=THEIRS), [])
    tx.supersim.fleets.add(a_fleet())
    tx.supersim.fleets.add(a_fleet(sid=OTHER_FLEET, unique_name="other_fleet"))
    return tx


def register(
    tx: MemoryTransaction,
    *,
    iccid: str = ICCID,
    code: str = "H3LL0W0RLD",
    account_sid: str = ACCOUNT_SID,
) -> SuperSim:
    return register_sim(
        tx, account_sid, iccid=iccid, registration_code=code, context=a_context(now=LATER)
    )


def update(
    tx: MemoryTransaction, asked: SuperSimUpdateRequest, sim: str = SIM_SID
) -> UpdatedSuperSim:
    return update_sim(tx, ACCOUNT_SID, sim, asked, a_context(now=LATER))


def called_back(tx: MemoryTransaction) -> list[CallbackRecord]:
    return tx.callbacks.page(ACCOUNT_SID, CallbackFilter(), PageWindow(9))


def content_of(tx: MemoryTransaction) -> tuple[object, ...]:
    tables = (
        tx.supersim.fleets,
        tx.supersim.sims,
        tx.supersim.sim_updates,
        tx.tasks,
        tx.callbacks.callbacks,
    )
    return copy.deepcopy(tables)


# ---- registering ---------------------------------------------------------------------------------


def test_a_registered_sim_is_new_and_in_no_fleet(tx: MemoryTransaction) -> None:
    sim = register(tx)
    assert re.fullmatch("HS[0-9a-f]{32}", sim.sid)
    assert sim == a_sim(
        sid=sim.sid,
        iccid=ICCID,
        unique_name=None,
        status=SimStatus.NEW,
        fleet_sid=None,
        date_created=LATER,
        date_updated=LATER,
        device_ip=device_address(ICCID, IPv4Network("100.64.0.0/10")),
    )
    assert tx.supersim.sims.get(sim.sid) == sim


@pytest.mark.parametrize(
    ("iccid", "code"),
    [
        pytest.param("8988307000012345", "H3LL0W0RLD", id="16 digits"),
        pytest.param("89883070000123456789123", "H3LL0W0RLD", id="23 digits"),
        pytest.param("12345678901234567890", "H3LL0W0RLD", id="not a card's number"),
        pytest.param("8988307000012345678X", "H3LL0W0RLD", id="a letter in it"),
        pytest.param(ICCID + "\n", "H3LL0W0RLD", id="a line's end"),
        pytest.param(ICCID, "H3LL0", id="a short code"),
        pytest.param(ICCID, "H3LL0W0RLD!", id="a long code"),
        pytest.param(ICCID, "H3LL0-W0RL", id="a code with punctuation"),
        pytest.param(ICCID, "HÉLLOWORLD", id="a code with an accent"),
    ],
)
def test_an_unregistrable_card_has_83002(tx: MemoryTransaction, iccid: str, code: str) -> None:
    with pytest.raises(InvalidParameter) as refused:
        register(tx, iccid=iccid, code=code)
    assert refused.value.code == 83002


def test_digits_of_another_script_are_not_a_card_number(tx: MemoryTransaction) -> None:
    with pytest.raises(InvalidParameter):
        register(tx, iccid="89" + "٣" * 18)


@pytest.mark.parametrize("iccid", ["89" + "0" * 16, "89" + "0" * 20])
def test_a_card_number_has_18_to_22_digits(tx: MemoryTransaction, iccid: str) -> None:
    assert register(tx, iccid=iccid).iccid == iccid


def test_registering_a_card_twice_has_83003_and_names_its_sim(tx: MemoryTransaction) -> None:
    first = register(tx)
    with pytest.raises(InvalidParameter) as refused:
        register(tx)
    assert (refused.value.code, refused.value.message) == (
        83003,
        f"Iccid {ICCID} is already registered on this account, as {first.sid}",
    )


def test_a_card_of_another_account_has_83002_without_its_sim(tx: MemoryTransaction) -> None:
    theirs = register(tx, account_sid=THEIRS)
    with pytest.raises(InvalidParameter) as refused:
        register(tx)
    assert refused.value.code == 83002
    assert theirs.sid not in refused.value.message
    assert THEIRS not in refused.value.message


# ---- finding -------------------------------------------------------------------------------------


@pytest.mark.parametrize("asked", [SIM_SID, "my_super_sim"])
def test_a_sim_is_fetched_by_sid_or_name(tx: MemoryTransaction, asked: str) -> None:
    tx.supersim.sims.add(a_sim())
    assert fetch_sim(tx, ACCOUNT_SID, asked) == a_sim()


@pytest.mark.parametrize("asked", ["HS" + "0" * 32, "nobody", "", "My_super_sim"])
def test_an_unknown_sim_is_not_found(tx: MemoryTransaction, asked: str) -> None:
    tx.supersim.sims.add(a_sim())
    with pytest.raises(NotFound) as refused:
        fetch_sim(tx, ACCOUNT_SID, asked)
    assert (refused.value.code, refused.value.message) == (
        20404,
        f"there is no SIM with the SID or unique name {asked!r}",
    )


@pytest.mark.parametrize("asked", [SIM_SID, "my_super_sim"])
def test_a_sim_of_another_account_is_not_found(tx: MemoryTransaction, asked: str) -> None:
    tx.supersim.sims.add(a_sim())
    with pytest.raises(NotFound):
        fetch_sim(tx, THEIRS, asked)


@pytest.mark.parametrize(
    ("fleet", "found"), [(FLEET_SID, [a_sim()]), ("my_fleet", [a_sim()]), ("nobody's", [])]
)
def test_sims_are_listed_by_the_sid_or_name_of_their_fleet(
    tx: MemoryTransaction, fleet: str, found: list[SuperSim]
) -> None:
    tx.supersim.sims.add(a_sim())
    tx.supersim.sims.add(a_sim(sid=OTHER_SIM, fleet_sid=None))
    assert list_sims(tx, ACCOUNT_SID, PageWindow(9), fleet=fleet) == found


def test_a_list_without_filters_has_all_sims_newest_first(tx: MemoryTransaction) -> None:
    tx.supersim.sims.add(a_sim())
    tx.supersim.sims.add(a_sim(sid=OTHER_SIM))
    assert list_sims(tx, ACCOUNT_SID, PageWindow(9)) == [a_sim(sid=OTHER_SIM), a_sim()]


# ---- effects of an update ------------------------------------------------------------------------


def test_a_change_of_status_by_the_network_is_pending(tx: MemoryTransaction) -> None:
    tx.supersim.sims.add(a_sim(status=SimStatus.ACTIVE))
    updated = update(tx, SuperSimUpdateRequest(status=SimStatus.INACTIVE, callback=CALLBACK))
    scheduled = a_sim(status=SimStatus.SCHEDULED, date_updated=LATER)
    assert updated == UpdatedSuperSim(scheduled, is_underway=True)
    assert tx.supersim.sims.get(SIM_SID) == scheduled
    assert called_back(tx) == []


def test_a_pending_change_has_its_target_callback_and_due_time(tx: MemoryTransaction) -> None:
    tx.supersim.sims.add(a_sim(status=SimStatus.ACTIVE))
    update(
        tx,
        SuperSimUpdateRequest(
            status=SimStatus.INACTIVE,
            fleet="other_fleet",
            callback=CallbackTarget(URL, HttpMethod.GET),
        ),
    )
    assert tx.supersim.sim_updates.get(SIM_SID) == an_update(
        from_status=SimStatus.ACTIVE,
        to_status=SimStatus.INACTIVE,
        to_fleet_sid=OTHER_FLEET,
        callback_method=HttpMethod.GET,
    )
    task = ScheduledTask(TaskKind.UPDATE_SIM, SIM_SID, ACCOUNT_SID, LATER + TAKES)
    assert tx.tasks.claim(LATER + TAKES, limit=9) == [task]


def test_a_sim_is_updated_by_its_name_too(tx: MemoryTransaction) -> None:
    tx.supersim.sims.add(a_sim(status=SimStatus.ACTIVE))
    assert update(tx, SuperSimUpdateRequest(status=SimStatus.INACTIVE), "my_super_sim").is_underway


def test_setting_the_present_status_is_called_back_at_once(tx: MemoryTransaction) -> None:
    tx.supersim.sims.add(a_sim(status=SimStatus.ACTIVE))
    updated = update(tx, SuperSimUpdateRequest(status=SimStatus.ACTIVE, callback=CALLBACK))
    (callback,) = called_back(tx)
    assert updated == UpdatedSuperSim(a_sim(status=SimStatus.ACTIVE), is_underway=False)
    assert (callback.progress.due, callback.url, callback.method) == (LATER, URL, HttpMethod.POST)
    assert callback.parameters == [
        ("ApiVersion", "v1"),
        ("SimUniqueName", "my_super_sim"),
        ("SimSid", SIM_SID),
        ("SimStatus", "active"),
        ("AccountSid", ACCOUNT_SID),
    ]


def test_setting_the_present_fleet_is_called_back_at_once(tx: MemoryTransaction) -> None:
    tx.supersim.sims.add(a_sim(status=SimStatus.ACTIVE))
    updated = update(tx, SuperSimUpdateRequest(fleet="my_fleet", callback=CALLBACK))
    assert not updated.is_underway
    assert len(called_back(tx)) == 1


def test_without_a_url_there_is_no_callback(tx: MemoryTransaction) -> None:
    tx.supersim.sims.add(a_sim(status=SimStatus.ACTIVE))
    update(tx, SuperSimUpdateRequest(status=SimStatus.ACTIVE))
    assert called_back(tx) == []


def test_the_callback_has_the_new_name(tx: MemoryTransaction) -> None:
    tx.supersim.sims.add(a_sim(status=SimStatus.ACTIVE))
    update(tx, SuperSimUpdateRequest("renamed", SimStatus.ACTIVE, callback=CALLBACK))
    (callback,) = called_back(tx)
    assert ("SimUniqueName", "renamed") in callback.parameters


@pytest.mark.parametrize(
    ("url", "source"),
    [("http://a.example", Source.TWILIO), ("http://a.example#cbs=kore", Source.KORE)],
)
def test_the_source_of_a_callback_is_the_current_phases(
    tx: MemoryTransaction, url: str, source: Source
) -> None:
    tx.supersim.sims.add(a_sim(status=SimStatus.ACTIVE))
    to = CallbackTarget(CallbackUrl.parse(url))
    update(tx, SuperSimUpdateRequest(status=SimStatus.ACTIVE, callback=to))
    (callback,) = called_back(tx)
    assert callback.source is source


def test_changing_only_the_name_takes_effect_at_once_without_a_callback(
    tx: MemoryTransaction,
) -> None:
    tx.supersim.sims.add(a_sim())
    updated = update(tx, SuperSimUpdateRequest("renamed", callback=CALLBACK))
    renamed = a_sim(unique_name="renamed", date_updated=LATER)
    assert updated == UpdatedSuperSim(renamed, is_underway=False)
    assert tx.supersim.sims.get(SIM_SID) == renamed
    assert called_back(tx) == []
    assert tx.tasks.next_due() is None


def test_an_empty_name_removes_the_name(tx: MemoryTransaction) -> None:
    tx.supersim.sims.add(a_sim())
    assert update(tx, SuperSimUpdateRequest("")).sim.unique_name is None


def test_a_sim_may_keep_its_name(tx: MemoryTransaction) -> None:
    tx.supersim.sims.add(a_sim())
    assert update(tx, SuperSimUpdateRequest("my_super_sim")).sim.unique_name == "my_super_sim"


def test_a_scheduled_sim_can_get_a_name(tx: MemoryTransaction) -> None:
    tx.supersim.sims.add(a_sim(status=SimStatus.SCHEDULED))
    updated = update(tx, SuperSimUpdateRequest("renamed")).sim
    assert (updated.unique_name, updated.status) == ("renamed", SimStatus.SCHEDULED)


def test_an_empty_update_changes_nothing(tx: MemoryTransaction) -> None:
    tx.supersim.sims.add(a_sim())
    assert update(tx, SuperSimUpdateRequest(callback=CALLBACK)) == UpdatedSuperSim(
        a_sim(), is_underway=False
    )
    assert called_back(tx) == []


@pytest.mark.parametrize("fleet", [FLEET_SID, "my_fleet"])
def test_the_first_fleet_of_a_new_sim_is_assigned_at_once_without_a_callback(
    tx: MemoryTransaction, fleet: str
) -> None:
    tx.supersim.sims.add(a_sim(status=SimStatus.NEW, fleet_sid=None))
    updated = update(tx, SuperSimUpdateRequest(fleet=fleet, callback=CALLBACK))
    assigned = a_sim(status=SimStatus.NEW, fleet_sid=FLEET_SID, date_updated=LATER)
    assert updated == UpdatedSuperSim(assigned, is_underway=False)
    assert tx.supersim.sims.get(SIM_SID) == assigned
    assert called_back(tx) == []


def test_a_new_sim_gets_its_fleet_and_is_activated_in_one_update(tx: MemoryTransaction) -> None:
    tx.supersim.sims.add(a_sim(status=SimStatus.NEW, fleet_sid=None))
    assert update(tx, SuperSimUpdateRequest(status=SimStatus.ACTIVE, fleet="my_fleet")).is_underway
    change = tx.supersim.sim_updates.get(SIM_SID)
    assert change is not None
    assert (change.to_status, change.to_fleet_sid) == (SimStatus.ACTIVE, FLEET_SID)


def test_a_change_of_the_fleet_is_pending_and_the_sim_stays_in_its_own_until_then(
    tx: MemoryTransaction,
) -> None:
    tx.supersim.sims.add(a_sim(status=SimStatus.ACTIVE))
    updated = update(tx, SuperSimUpdateRequest(fleet="other_fleet"))
    assert updated.is_underway
    assert updated.sim.fleet_sid == FLEET_SID


# ---- refused updates -----------------------------------------------------------------------------

NEW_SIM: Final = a_sim(status=SimStatus.NEW, fleet_sid=None)
REFUSED: Final[Mapping[str, tuple[SuperSim, SuperSimUpdateRequest, type[ApiError], int]]] = {
    "a fleet that isn't there": (
        a_sim(),
        SuperSimUpdateRequest(fleet="nobody's"),
        InvalidParameter,
        83006,
    ),
    "active without a fleet": (
        NEW_SIM,
        SuperSimUpdateRequest(status=SimStatus.ACTIVE),
        InvalidParameter,
        83007,
    ),
    "ready without a fleet": (
        NEW_SIM,
        SuperSimUpdateRequest(status=SimStatus.READY),
        InvalidParameter,
        83007,
    ),
    "out of its fleet": (a_sim(), SuperSimUpdateRequest(fleet=""), InvalidParameter, 83008),
    "another fleet while scheduled": (
        a_sim(status=SimStatus.SCHEDULED),
        SuperSimUpdateRequest(fleet="other_fleet"),
        Conflict,
        83009,
    ),
    "its own fleet while scheduled": (
        a_sim(status=SimStatus.SCHEDULED),
        SuperSimUpdateRequest(fleet="my_fleet"),
        Conflict,
        83009,
    ),
    "another status while scheduled": (
        a_sim(status=SimStatus.SCHEDULED),
        SuperSimUpdateRequest(status=SimStatus.INACTIVE),
        Conflict,
        83010,
    ),
    "from active to ready": (
        a_sim(),
        SuperSimUpdateRequest(status=SimStatus.READY),
        InvalidParameter,
        83010,
    ),
    "from inactive to ready": (
        a_sim(status=SimStatus.INACTIVE),
        SuperSimUpdateRequest(status=SimStatus.READY),
        InvalidParameter,
        83010,
    ),
    "from new to inactive": (
        a_sim(status=SimStatus.NEW),
        SuperSimUpdateRequest(status=SimStatus.INACTIVE),
        InvalidParameter,
        83010,
    ),
    "a name that is taken": (a_sim(), SuperSimUpdateRequest("taken"), InvalidParameter, 83011),
    "the SID of another SIM for a name": (
        a_sim(),
        SuperSimUpdateRequest(OTHER_SIM),
        InvalidParameter,
        83011,
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_refused_update_has_its_code(tx: MemoryTransaction, what: str) -> None:
    sim, asked, kind, code = REFUSED[what]
    tx.supersim.sims.add(sim)
    tx.supersim.sims.add(a_sim(sid=OTHER_SIM, unique_name="taken"))
    with pytest.raises(kind) as refused:
        update(tx, asked)
    assert refused.value.code == code


@pytest.mark.parametrize("what", REFUSED)
def test_a_refused_update_changes_nothing(tx: MemoryTransaction, what: str) -> None:
    sim, asked, kind, _ = REFUSED[what]
    tx.supersim.sims.add(sim)
    tx.supersim.sims.add(a_sim(sid=OTHER_SIM, unique_name="taken"))
    before = content_of(tx)
    with pytest.raises(kind):
        update(tx, replace(asked, unique_name=asked.unique_name or "renamed", callback=CALLBACK))
    assert content_of(tx) == before


def test_an_unknown_sim_is_not_updated(tx: MemoryTransaction) -> None:
    with pytest.raises(NotFound):
        update(tx, SuperSimUpdateRequest(status=SimStatus.ACTIVE))


def test_a_fleet_of_another_account_is_not_found(tx: MemoryTransaction) -> None:
    tx.supersim.sims.add(a_sim())
    tx.supersim.fleets.add(a_fleet(sid="HF" + "c" * 32, account_sid=THEIRS, unique_name="theirs"))
    for fleet in ("theirs", "HF" + "c" * 32):
        with pytest.raises(InvalidParameter) as refused:
            update(tx, SuperSimUpdateRequest(fleet=fleet))
        assert refused.value.code == 83006


def test_a_name_that_another_account_uses_is_free(tx: MemoryTransaction) -> None:
    tx.supersim.sims.add(a_sim())
    tx.supersim.sims.add(a_sim(sid=OTHER_SIM, account_sid=THEIRS, unique_name="theirs"))
    assert update(tx, SuperSimUpdateRequest("theirs")).sim.unique_name == "theirs"
