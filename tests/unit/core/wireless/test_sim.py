from collections.abc import Mapping
from datetime import timedelta
from typing import NamedTuple

import pytest

from ringback.core.errors import ApiError, Conflict, InvalidParameter
from ringback.core.wireless.sim import (
    CANCELED_AFTER,
    CHANGING,
    CONNECTED,
    DELETABLE,
    FINAL,
    MOVES,
    Change,
    WirelessSim,
    WirelessSimAlreadyInState,
    WirelessSimUpdateRequired,
    WirelessStatus,
    check_move,
    make_iccid,
    moved,
    plan_change,
)
from tests.fakes import NOW
from tests.wireless_fakes import RATE_PLAN_SID, WIRELESS_SIM_SID, a_wireless_sim

NEW, READY, ACTIVE, SUSPENDED, DEACTIVATED, CANCELED, SCHEDULED, UPDATING = WirelessStatus
LATER = NOW + timedelta(seconds=2)
PLAN, OTHER_PLAN = RATE_PLAN_SID, "WP" + "f" * 32
STEADY = (NEW, READY, ACTIVE, SUSPENDED, DEACTIVATED, CANCELED)


class Asked(NamedTuple):
    """The status and the rate plan that an update asks for."""

    status: WirelessStatus | None = None
    rate_plan_sid: str | None = None


def planned(sim: WirelessSim, asked: Asked) -> Change | None:
    return plan_change(sim, **asked._asdict())


def test_the_statuses_are_those_of_the_api() -> None:
    assert list(WirelessStatus) == [
        "new",
        "ready",
        "active",
        "suspended",
        "deactivated",
        "canceled",
        "scheduled",
        "updating",
    ]


def test_the_moves_are_those_of_the_documentation_and_our_ruling() -> None:
    assert {(old, new) for old, targets in MOVES.items() for new in targets} == {
        (NEW, READY),
        (NEW, ACTIVE),
        (NEW, DEACTIVATED),
        (READY, ACTIVE),
        (READY, SUSPENDED),
        (READY, DEACTIVATED),
        (ACTIVE, SUSPENDED),
        (ACTIVE, DEACTIVATED),
        (SUSPENDED, ACTIVE),
        (SUSPENDED, DEACTIVATED),
        (DEACTIVATED, ACTIVE),
    }


def test_every_status_has_its_line_in_the_table() -> None:
    assert set(MOVES) == set(WirelessStatus)


def test_two_statuses_change_to_another_automatically() -> None:
    assert FINAL == {READY: ACTIVE, DEACTIVATED: CANCELED}
    assert timedelta(hours=72) == CANCELED_AFTER


def test_some_statuses_are_alike() -> None:
    assert CHANGING == (SCHEDULED, UPDATING)
    assert CONNECTED == (READY, ACTIVE)
    assert DELETABLE == (NEW, SUSPENDED, DEACTIVATED, CANCELED)


@pytest.mark.parametrize("status", WirelessStatus)
def test_the_network_admits_ready_and_active_sims(status: WirelessStatus) -> None:
    assert a_wireless_sim(status=status).is_connected is (status in (READY, ACTIVE))


@pytest.mark.parametrize(
    ("random_bytes", "iccid"),
    [
        (bytes(8), "8901340000000000000"),
        ((10**13 - 1).to_bytes(8), "8901349999999999999"),
        ((10**13 + 7).to_bytes(8), "8901340000000000007"),
    ],
)
def test_the_number_of_a_card_has_the_form_of_the_published_sample(
    random_bytes: bytes, iccid: str
) -> None:
    assert make_iccid(random_bytes) == iccid


# ---- the effect of an update of a SIM that has a plan --------------------------------------------

# All cases: the SIM's status, the requested status, and the three effects of an update that names
# no plan, the SIM's own plan, or another one. A number is the code of a refusal.
Row = tuple[Change | int | None, Change | int | None, Change | int | None]
NO: Row = (33105, 33105, 33105)


def to(status: WirelessStatus, plan: str | None = PLAN) -> WirelessSimUpdateRequired:
    return WirelessSimUpdateRequired(status, plan)


def goes(status: WirelessStatus) -> Row:
    return to(status), to(status), to(status, OTHER_PLAN)


def stays(status: WirelessStatus) -> Row:
    return WirelessSimAlreadyInState(PLAN), WirelessSimAlreadyInState(PLAN), to(status, OTHER_PLAN)


def rests(without_a_plan: Change | None) -> Row:
    return without_a_plan, WirelessSimAlreadyInState(PLAN), WirelessSimAlreadyInState(OTHER_PLAN)


def keeps(status: WirelessStatus) -> Row:
    return None, WirelessSimAlreadyInState(PLAN), to(status, OTHER_PLAN)


TABLE: Mapping[WirelessStatus, Mapping[WirelessStatus | None, Row]] = {
    NEW: {
        None: rests(None),
        NEW: rests(WirelessSimAlreadyInState(PLAN)),
        READY: goes(READY),
        ACTIVE: goes(ACTIVE),
        SUSPENDED: NO,
        DEACTIVATED: goes(DEACTIVATED),
        CANCELED: NO,
    },
    READY: {
        None: keeps(READY),
        NEW: NO,
        READY: stays(READY),
        ACTIVE: goes(ACTIVE),
        SUSPENDED: goes(SUSPENDED),
        DEACTIVATED: goes(DEACTIVATED),
        CANCELED: NO,
    },
    ACTIVE: {
        None: keeps(ACTIVE),
        NEW: NO,
        READY: NO,
        ACTIVE: stays(ACTIVE),
        SUSPENDED: goes(SUSPENDED),
        DEACTIVATED: goes(DEACTIVATED),
        CANCELED: NO,
    },
    SUSPENDED: {
        None: keeps(SUSPENDED),
        NEW: NO,
        READY: NO,
        ACTIVE: goes(ACTIVE),
        SUSPENDED: stays(SUSPENDED),
        DEACTIVATED: goes(DEACTIVATED),
        CANCELED: NO,
    },
    DEACTIVATED: {
        None: keeps(DEACTIVATED),
        NEW: NO,
        READY: NO,
        ACTIVE: goes(ACTIVE),
        SUSPENDED: NO,
        DEACTIVATED: stays(DEACTIVATED),
        CANCELED: NO,
    },
    CANCELED: {
        None: rests(None),
        NEW: NO,
        READY: NO,
        ACTIVE: NO,
        SUSPENDED: NO,
        DEACTIVATED: NO,
        CANCELED: rests(WirelessSimAlreadyInState(PLAN)),
    },
}
ROWS = [
    (sim, asked, plan, expected)
    for sim, line in TABLE.items()
    for asked, row in line.items()
    for plan, expected in zip((None, PLAN, OTHER_PLAN), row, strict=True)
]


def test_the_table_is_complete() -> None:
    assert set(TABLE) == set(STEADY)
    assert {frozenset(line) for line in TABLE.values()} == {frozenset({None, *STEADY})}


def name_of(
    row: tuple[WirelessStatus, WirelessStatus | None, str | None, Change | int | None],
) -> str:
    status, asked, plan, _ = row
    whose = {None: "no-plan", PLAN: "its-plan", OTHER_PLAN: "another-plan"}[plan]
    return f"{status}-to-{asked or 'no-status'}-with-{whose}"


@pytest.mark.parametrize(("status", "asked", "plan", "expected"), ROWS, ids=map(name_of, ROWS))
def test_an_update_has_the_effect_in_the_table(
    status: WirelessStatus,
    asked: WirelessStatus | None,
    plan: str | None,
    expected: Change | int | None,
) -> None:
    sim, change_request = a_wireless_sim(status=status), Asked(asked, plan)
    if isinstance(expected, int):
        with pytest.raises(InvalidParameter) as refused:
            planned(sim, change_request)
        assert refused.value.code == expected
    else:
        assert planned(sim, change_request) == expected


@pytest.mark.parametrize("status", STEADY)
@pytest.mark.parametrize("asked", CHANGING)
def test_no_update_can_request_a_waiting_or_changing_status(
    status: WirelessStatus, asked: WirelessStatus
) -> None:
    with pytest.raises(InvalidParameter) as refused:
        planned(a_wireless_sim(status=status), Asked(asked))
    assert refused.value.code == 33105


# ---- missing and removed plans -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "change_request", "change"),
    [
        (NEW, Asked(), None),
        (NEW, Asked(READY, PLAN), to(READY)),
        (NEW, Asked(ACTIVE, PLAN), to(ACTIVE)),
        (NEW, Asked(DEACTIVATED), to(DEACTIVATED, None)),
        (NEW, Asked(rate_plan_sid=PLAN), WirelessSimAlreadyInState(PLAN)),
        (NEW, Asked(rate_plan_sid=""), WirelessSimAlreadyInState(None)),
        (SUSPENDED, Asked(ACTIVE, PLAN), to(ACTIVE)),
        (SUSPENDED, Asked(DEACTIVATED), to(DEACTIVATED, None)),
        (SUSPENDED, Asked(rate_plan_sid=PLAN), to(SUSPENDED)),
        (SUSPENDED, Asked(rate_plan_sid=""), WirelessSimAlreadyInState(None)),
        (DEACTIVATED, Asked(ACTIVE, PLAN), to(ACTIVE)),
        (DEACTIVATED, Asked(rate_plan_sid=PLAN), to(DEACTIVATED)),
        (CANCELED, Asked(rate_plan_sid=PLAN), WirelessSimAlreadyInState(PLAN)),
    ],
)
def test_a_sim_without_a_plan_may_stay_without_or_get_one(
    status: WirelessStatus, change_request: Asked, change: Change
) -> None:
    assert planned(a_wireless_sim(status=status, rate_plan_sid=None), change_request) == change


@pytest.mark.parametrize(
    ("status", "asked"), [(NEW, READY), (NEW, ACTIVE), (SUSPENDED, ACTIVE), (DEACTIVATED, ACTIVE)]
)
def test_a_sim_is_not_connected_without_a_plan(
    status: WirelessStatus, asked: WirelessStatus
) -> None:
    with pytest.raises(InvalidParameter) as refused:
        planned(a_wireless_sim(status=status, rate_plan_sid=None), Asked(asked))
    assert (refused.value.status, refused.value.code) == (400, 33104)
    assert refused.value.message == (
        f"SIM {WIRELESS_SIM_SID} can't be {asked} without a rate plan; give RatePlan too"
    )


@pytest.mark.parametrize(
    ("status", "asked", "expected"),
    [
        (NEW, None, WirelessSimAlreadyInState(None)),
        (NEW, READY, 33104),
        (NEW, DEACTIVATED, to(DEACTIVATED, None)),
        (READY, None, 33104),
        (READY, ACTIVE, 33104),
        (READY, SUSPENDED, 33121),
        (READY, DEACTIVATED, to(DEACTIVATED, None)),
        (ACTIVE, None, 33104),
        (ACTIVE, ACTIVE, 33104),
        (ACTIVE, SUSPENDED, 33121),
        (ACTIVE, DEACTIVATED, to(DEACTIVATED, None)),
        (SUSPENDED, None, to(SUSPENDED, None)),
        (SUSPENDED, SUSPENDED, 33121),
        (DEACTIVATED, None, to(DEACTIVATED, None)),
        (DEACTIVATED, ACTIVE, 33104),
        (CANCELED, None, WirelessSimAlreadyInState(None)),
    ],
)
def test_a_plan_is_removed_only_from_a_disconnected_sim_and_not_with_a_suspension(
    status: WirelessStatus, asked: WirelessStatus | None, expected: Change | int
) -> None:
    sim, change_request = (a_wireless_sim(status=status), Asked(asked, rate_plan_sid=""))
    if isinstance(expected, int):
        with pytest.raises(InvalidParameter) as refused:
            planned(sim, change_request)
        assert refused.value.code == expected
    else:
        assert planned(sim, change_request) == expected


# ---- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", CHANGING)
@pytest.mark.parametrize(
    "change_request",
    [
        *(Asked(asked) for asked in WirelessStatus),
        Asked(rate_plan_sid=PLAN),
        Asked(rate_plan_sid=OTHER_PLAN),
        Asked(rate_plan_sid=""),
        Asked(SUSPENDED, rate_plan_sid=""),
    ],
)
def test_during_a_change_another_one_is_a_conflict(
    status: WirelessStatus, change_request: Asked
) -> None:
    with pytest.raises(Conflict) as refused:
        planned(a_wireless_sim(status=status), change_request)
    assert (refused.value.status, refused.value.code) == (409, 33010)
    assert refused.value.message == (
        f"SIM {WIRELESS_SIM_SID} is {status}: wait until its current change is done"
        " before you change its status or rate plan"
    )


@pytest.mark.parametrize("status", CHANGING)
def test_during_a_change_nothing_can_be_requested(status: WirelessStatus) -> None:
    assert planned(a_wireless_sim(status=status), Asked()) is None


@pytest.mark.parametrize(
    ("status", "asked", "others"),
    [
        (NEW, SUSPENDED, "active, deactivated, ready"),
        (ACTIVE, NEW, "deactivated, suspended"),
        (CANCELED, ACTIVE, "nothing else"),
    ],
)
def test_an_impossible_move_is_refused_with_the_possible_ones(
    status: WirelessStatus, asked: WirelessStatus, others: str
) -> None:
    with pytest.raises(ApiError) as refused:
        check_move(a_wireless_sim(status=status), asked)
    assert (refused.value.status, refused.value.code) == (400, 33105)
    assert refused.value.message == (
        f"SIM {WIRELESS_SIM_SID} is {status} and can't become {asked}; it can become: {others}"
    )


def test_an_impossible_move_is_refused_before_a_missing_plan() -> None:
    with pytest.raises(InvalidParameter) as refused:
        planned(a_wireless_sim(status=CANCELED, rate_plan_sid=None), Asked(ACTIVE))
    assert refused.value.code == 33105


# ---- moves ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [READY, DEACTIVATED])
def test_the_time_of_a_sim_with_a_pending_final_status_counts_from_its_move(
    status: WirelessStatus,
) -> None:
    before = a_wireless_sim(
        status=SUSPENDED, status_since=NOW, commands_while_ready=3, metered_since=NOW
    )
    assert moved(before, status, LATER) == a_wireless_sim(
        status=status, date_updated=LATER, status_since=LATER, metered_since=NOW
    )


@pytest.mark.parametrize("status", sorted(set(STEADY) - {READY, DEACTIVATED}))
def test_the_time_of_a_sim_in_any_other_status_does_not_count(status: WirelessStatus) -> None:
    before = a_wireless_sim(
        status=READY, status_since=NOW, commands_while_ready=3, metered_since=NOW
    )
    assert moved(before, status, LATER) == a_wireless_sim(
        status=status, date_updated=LATER, metered_since=NOW
    )


@pytest.mark.parametrize("status", [READY, DEACTIVATED])
def test_the_time_of_a_sim_that_returns_to_its_status_counts_from_the_start(
    status: WirelessStatus,
) -> None:
    changing = a_wireless_sim(status=UPDATING, status_since=NOW, commands_while_ready=3)
    back = moved(changing, status, LATER, before=status)
    assert (back.status_since, back.commands_while_ready) == (NOW, 3)


@pytest.mark.parametrize("status", [READY, DEACTIVATED])
def test_the_time_of_a_sim_that_gets_its_present_status_counts_from_the_start(
    status: WirelessStatus,
) -> None:
    same = moved(
        a_wireless_sim(status=status, status_since=NOW, commands_while_ready=3), status, LATER
    )
    assert (same.status_since, same.commands_while_ready) == (NOW, 3)


def test_the_time_of_a_sim_that_comes_from_another_status_counts_anew() -> None:
    changing = a_wireless_sim(status=UPDATING, status_since=NOW, commands_while_ready=3)
    done = moved(changing, DEACTIVATED, LATER, before=READY)
    assert (done.status_since, done.commands_while_ready) == (LATER, 0)


@pytest.mark.parametrize("status", STEADY)
def test_the_months_of_a_sim_are_counted_from_its_first_connection(status: WirelessStatus) -> None:
    first = moved(a_wireless_sim(status=NEW), status, LATER)
    assert first.metered_since == (LATER if status in (READY, ACTIVE) else None)
    again = moved(a_wireless_sim(status=SUSPENDED, metered_since=NOW), status, LATER)
    assert again.metered_since == NOW
