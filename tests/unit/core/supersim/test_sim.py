from itertools import product

import pytest

from ringback.core.errors import Conflict, InvalidParameter
from ringback.core.sims.auto_activation import READY_DATA, READY_MESSAGES, READY_MONTHS
from ringback.core.supersim.sim import (
    MOVES,
    REQUESTABLE,
    Change,
    FleetAssigned,
    SimStatus,
    SuperSimAlreadyInState,
    SuperSimUpdateRequired,
    plan_change,
)
from tests.fakes import FLEET_SID, SIM_SID, a_sim

NEW, READY, ACTIVE, INACTIVE, SCHEDULED = SimStatus
OTHER_FLEET = "HF" + "f" * 32


def test_the_moves_are_those_of_the_documentation_and_the_rulings() -> None:
    assert {(old, new) for old, targets in MOVES.items() for new in targets} == {
        (NEW, READY),
        (NEW, ACTIVE),
        (READY, ACTIVE),
        (READY, INACTIVE),
        (ACTIVE, INACTIVE),
        (INACTIVE, ACTIVE),
    }


def test_the_statuses_are_those_of_the_api() -> None:
    assert list(SimStatus) == ["new", "ready", "active", "inactive", "scheduled"]


def test_every_status_has_its_line_in_the_table() -> None:
    assert set(MOVES) == set(SimStatus)


def test_an_update_may_request_three_statuses() -> None:
    assert REQUESTABLE == (READY, ACTIVE, INACTIVE)


@pytest.mark.parametrize("status", SimStatus)
def test_the_network_admits_ready_and_active_sims(status: SimStatus) -> None:
    assert a_sim(status=status).is_connected is (status in (READY, ACTIVE))


def test_the_activation_limits_are_those_of_the_documentation() -> None:
    assert (READY_DATA, READY_MESSAGES, READY_MONTHS) == (250_000, 5, 3)


# All cases: the SIM's status, the requested status, and the three effects of an update that names
# no fleet, the SIM's own fleet, or another one. A number is the code of a refusal.
UNCHANGED, SO = None, SuperSimAlreadyInState()


def to(status: SimStatus, fleet_sid: str = FLEET_SID) -> SuperSimUpdateRequired:
    return SuperSimUpdateRequired(status, fleet_sid)


Result = Change | int | None
TABLE: dict[tuple[SimStatus, SimStatus | None], tuple[Result, Result, Result]] = {
    (NEW, None): (UNCHANGED, FleetAssigned(FLEET_SID), FleetAssigned(OTHER_FLEET)),
    (NEW, READY): (to(READY), to(READY), to(READY, OTHER_FLEET)),
    (NEW, ACTIVE): (to(ACTIVE), to(ACTIVE), to(ACTIVE, OTHER_FLEET)),
    (NEW, INACTIVE): (83010, 83010, 83010),
    (READY, None): (UNCHANGED, SO, to(READY, OTHER_FLEET)),
    (READY, READY): (SO, SO, to(READY, OTHER_FLEET)),
    (READY, ACTIVE): (to(ACTIVE), to(ACTIVE), to(ACTIVE, OTHER_FLEET)),
    (READY, INACTIVE): (to(INACTIVE), to(INACTIVE), to(INACTIVE, OTHER_FLEET)),
    (ACTIVE, None): (UNCHANGED, SO, to(ACTIVE, OTHER_FLEET)),
    (ACTIVE, READY): (83010, 83010, 83010),
    (ACTIVE, ACTIVE): (SO, SO, to(ACTIVE, OTHER_FLEET)),
    (ACTIVE, INACTIVE): (to(INACTIVE), to(INACTIVE), to(INACTIVE, OTHER_FLEET)),
    (INACTIVE, None): (UNCHANGED, SO, to(INACTIVE, OTHER_FLEET)),
    (INACTIVE, READY): (83010, 83010, 83010),
    (INACTIVE, ACTIVE): (to(ACTIVE), to(ACTIVE), to(ACTIVE, OTHER_FLEET)),
    (INACTIVE, INACTIVE): (SO, SO, to(INACTIVE, OTHER_FLEET)),
    (SCHEDULED, None): (UNCHANGED, 83009, 83009),
    (SCHEDULED, READY): (83010, 83009, 83009),
    (SCHEDULED, ACTIVE): (83010, 83009, 83009),
    (SCHEDULED, INACTIVE): (83010, 83009, 83009),
}
ROWS = [
    (sim, asked, fleet, expected)
    for (sim, asked), row in TABLE.items()
    for fleet, expected in zip((None, FLEET_SID, OTHER_FLEET), row, strict=True)
]


def test_the_table_is_complete() -> None:
    assert set(TABLE) == set(product(SimStatus, (None, *REQUESTABLE)))


@pytest.mark.parametrize(
    ("status", "asked", "fleet_sid", "expected"),
    ROWS,
    ids=[
        f"{status}-to-{asked or 'no status'}-in-"
        + {None: "no fleet", FLEET_SID: "its fleet", OTHER_FLEET: "another"}[fleet]
        for status, asked, fleet, _ in ROWS
    ],
)
def test_an_update_has_the_effect_in_the_table(
    status: SimStatus, asked: SimStatus | None, fleet_sid: str | None, expected: Result
) -> None:
    sim = a_sim(status=status, fleet_sid=FLEET_SID)
    if isinstance(expected, int):
        with pytest.raises((InvalidParameter, Conflict)) as refused:
            plan_change(sim, status=asked, fleet_sid=fleet_sid)
        assert refused.value.code == expected
    else:
        assert plan_change(sim, status=asked, fleet_sid=fleet_sid) == expected


@pytest.mark.parametrize("status", [NEW, READY, ACTIVE, INACTIVE])
@pytest.mark.parametrize("asked", [NEW, SCHEDULED])
def test_nothing_moves_to_new_or_scheduled(status: SimStatus, asked: SimStatus) -> None:
    if status is asked:
        assert (
            plan_change(a_sim(status=status), status=asked, fleet_sid=None)
            == SuperSimAlreadyInState()
        )
    else:
        with pytest.raises(InvalidParameter) as refused:
            plan_change(a_sim(status=status), status=asked, fleet_sid=None)
        assert refused.value.code == 83010


# ---- refusals, and SIMs without a fleet


def test_an_impossible_move_is_refused_with_the_possible_ones() -> None:
    with pytest.raises(InvalidParameter) as refused:
        plan_change(a_sim(status=NEW), status=INACTIVE, fleet_sid=None)
    assert (refused.value.status, refused.value.code) == (400, 83010)
    assert refused.value.message == (
        f"SIM {SIM_SID} is new and can't become inactive; it can become: active, ready"
    )


@pytest.mark.parametrize(
    ("fleet_sid", "what", "code"), [(None, "status", 83010), (FLEET_SID, "Fleet", 83009)]
)
def test_a_running_change_is_a_conflict(fleet_sid: str | None, what: str, code: int) -> None:
    with pytest.raises(Conflict) as refused:
        plan_change(a_sim(status=SCHEDULED), status=ACTIVE, fleet_sid=fleet_sid)
    assert (refused.value.status, refused.value.code) == (409, code)
    assert refused.value.message == (
        f"SIM {SIM_SID} is scheduled: wait until its current change is done before"
        f" you change its {what}"
    )


@pytest.mark.parametrize("asked", [READY, ACTIVE])
def test_a_sim_without_a_fleet_cannot_be_activated(asked: SimStatus) -> None:
    with pytest.raises(InvalidParameter) as refused:
        plan_change(a_sim(status=NEW, fleet_sid=None), status=asked, fleet_sid=None)
    assert (refused.value.status, refused.value.code) == (400, 83007)
    assert refused.value.message == (
        f"SIM {SIM_SID} has no Fleet, so it can't become {asked}; give Fleet too"
    )


def test_a_sim_without_a_fleet_can_be_activated_with_one() -> None:
    sim = a_sim(status=NEW, fleet_sid=None)
    assert plan_change(sim, status=ACTIVE, fleet_sid=FLEET_SID) == to(ACTIVE)


def test_an_impossible_move_is_refused_before_a_missing_fleet() -> None:
    with pytest.raises(InvalidParameter) as refused:
        plan_change(a_sim(status=NEW, fleet_sid=None), status=INACTIVE, fleet_sid=None)
    assert refused.value.code == 83010
