"""Changes of the policy in the portal: previewed in numbers, held and released."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from starlette.types import ASGIApp

from ringback.api.portal.policy_changes import PolicyChangeEndpoints
from ringback.core.policy.policy_json import policy_fields
from ringback.core.policy.receiver_evidence import ReceiverCheck
from ringback.core.policy.source_policy import NOTICE, PhaseHold, Policy, Source
from ringback.policy.active_policy import ActivePolicy
from ringback.ports import Store, Transaction
from ringback.settings.policy_editor import as_text
from tests.fakes import ACCOUNT_SID, FakeClock, a_callback, an_api_key
from tests.memory_store import MemoryStore
from tests.policy_monitors import counted, monitor_of, running, stored_in
from tests.unit.api.caller import Answer, Caller
from tests.unit.api.world import THEIRS, app_on

PREVIEW, HOLDS = "/portal/v1/policy/preview", "/portal/v1/policy/holds"
RELEASE = f"{HOLDS}/release"
OPERATORS = an_api_key("SK" + "0" * 32, None, "operator's")
DAY = timedelta(days=1)
DATE = datetime(2024, 10, 14, tzinfo=UTC)
URL = "https://ours.example/a"
HOLD = {"UrlPrefix": "https://ours.example/", "Phase": "before", "Until": "2025-01-15"}
DRY = {**HOLD, "DryRun": "yes"}
AHEAD = [("2024-10-16T00:00:00Z", 1, 1), ("2024-11-02T00:00:00Z", 2, 2)]
"""What HOLD changes: kore would send at these dates."""


@pytest.fixture
def active() -> ActivePolicy:
    return ActivePolicy(NOTICE)


@pytest.fixture
async def app(store: Store, active: ActivePolicy) -> ASGIApp:
    clock = FakeClock(DATE)

    def work(tx: Transaction) -> None:
        tx.accounts.keys.add(OPERATORS)
        for number, (account_sid, url) in enumerate(
            [
                (ACCOUNT_SID, f"{URL}#rc=2"),
                (ACCOUNT_SID, "https://ours.example/c#cbs=twilio"),
                (THEIRS, "https://theirs.example/"),
            ]
        ):
            sid = f"CB{number:032x}"
            tx.callbacks.add(a_callback(sid=sid, account_sid=account_sid, url=url, now=DATE - DAY))
        tx.receiver_checks.save(ReceiverCheck(ACCOUNT_SID, URL, Source.TWILIO, DATE))

    await store.transact(work)
    monitor = monitor_of(store, active, clock)
    async with running(monitor):
        await counted(monitor, DATE)
    stored = stored_in(store, active, clock)
    return app_on(
        store,
        clock=clock,
        portal=lambda on: PolicyChangeEndpoints(on, monitor, stored, as_text).operations(),
    )


@pytest.fixture
def operator(app: ASGIApp) -> Caller:
    return Caller(app, credentials=(OPERATORS.sid, "operator's"))


async def preview(caller: Caller, policy: Policy, version: int = 0) -> Answer:
    body = json.dumps({"version": version, **policy_fields(policy)}, default=str).encode()
    return await caller.call("POST", PREVIEW, body, headers={"content-type": "application/json"})


def ahead(told: Any) -> list[tuple[str, int, int]]:
    return [(one["date"], one["urls"], one["callbacks"]) for one in told["ahead"] if one["urls"]]


async def test_a_preview_says_what_would_change_and_changes_nothing(
    operator: Caller, active: ActivePolicy
) -> None:
    end = datetime(2025, 1, 15, tzinfo=UTC)
    hold = PhaseHold("before", url_prefix="https://ours.example/", until=end)
    answer = await preview(operator, Policy(NOTICE.phases, (hold,)))
    assert answer.status == 200
    told = answer.json
    assert (told["is_changed"], told["version"], told["counted"]) == (
        False,
        0,
        "2024-10-14T00:00:00Z",
    )
    date = "2024-10-14T00:00:00Z"
    assert told["now"] == {"date": date, "accounts": 0, "urls": 0, "callbacks": 0}
    assert ahead(told) == AHEAD
    ends = "the hold of https://ours.example/ in phase 'before' ends"
    assert told["ahead"][-1]["changes"] == [ends]
    assert told["diff"].splitlines()[-5:] == [
        "+",
        "+[[holds]]",
        '+phase = "before"',
        '+url_prefix = "https://ours.example/"',
        "+until = 2025-01-15",
    ]
    first, second = told["urls"]
    assert (first["url"], first["date"]) == (f"{URL}#rc=2", "2024-10-16T00:00:00Z")
    assert (first["before"], first["after"]) == ("kore", "twilio")
    assert (first["receiver"]["verdict"], first["receiver"]["source"]) == ("ready", "twilio")
    assert second["receiver"]["verdict"] == "unknown"
    assert active.number == 0


async def test_a_preview_refuses_what_the_change_would_refuse(
    caller: Caller, operator: Caller
) -> None:
    assert (await preview(caller, NOTICE)).status == 403
    assert (await preview(operator, NOTICE, version=7)).status == 409
    nobody = PhaseHold("before", "AC" + "7" * 32)
    assert (await preview(operator, Policy(NOTICE.phases, (nobody,)))).status == 400


async def test_a_hold_is_shown_then_made_then_released(
    operator: Caller, active: ActivePolicy, store: MemoryStore
) -> None:
    shown = (await operator.post(HOLDS, DRY)).json
    assert (shown["is_changed"], ahead(shown), active.number) == (False, AHEAD, 0)
    made = (await operator.post(HOLDS, {**HOLD, "Version": "0"})).json
    assert made == {**shown, "is_changed": True, "version": 1}
    (hold,) = active.policy.holds
    assert (hold.url_prefix, hold.until) == (
        "https://ours.example/",
        datetime(2025, 1, 15, tzinfo=UTC),
    )
    scope = {"UrlPrefix": "https://ours.example/"}
    shown = (await operator.post(RELEASE, {**scope, "DryRun": "yes"})).json
    assert (ahead(shown), active.number) == (AHEAD, 1)
    assert "-[[holds]]" in shown["diff"]
    released = (await operator.post(RELEASE, scope)).json
    assert (released["is_changed"], released["version"], active.policy.holds) == (True, 2, ())
    entries = [*store.tables.audit.entries.values()]
    actions = ["HoldCallbacks", "ReleaseCallbacks"]
    assert [(one.action, one.actor) for one in entries] == [(a, OPERATORS.sid) for a in actions]


async def test_an_existing_hold_keeps_what_is_not_given(
    operator: Caller, active: ActivePolicy
) -> None:
    await operator.post(HOLDS, {"AccountSid": ACCOUNT_SID, "Phase": "before"})
    await operator.post(HOLDS, {"AccountSid": ACCOUNT_SID, "Until": "2025-01-15T12:00:00Z"})
    end = datetime(2025, 1, 15, 12, tzinfo=UTC)
    assert active.policy.holds == (PhaseHold("before", ACCOUNT_SID, until=end),)
    again = (await operator.post(HOLDS, {"AccountSid": ACCOUNT_SID, "Phase": "before"})).json
    assert (again["is_changed"], again["diff"], again["version"]) == (False, "", 2)
    await operator.post(HOLDS, {"AccountSid": ACCOUNT_SID, "Until": "none"})
    assert active.policy.holds == (PhaseHold("before", ACCOUNT_SID),)


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"Phase": "before"}, "give what the hold is for: AccountSid, UrlPrefix or both"),
        ({"UrlPrefix": URL}, "a new hold needs a phase; the phases are before, between, after"),
        ({"UrlPrefix": "https://u:p@a.example/", "Phase": "before"}, "UrlPrefix has credentials"),
        ({"UrlPrefix": URL, "Phase": "later"}, "unknown phase 'later'"),
        ({"UrlPrefix": URL, "Phase": "before", "Until": "soon"}, "Until='soon'"),
        ({"AccountSid": "AC" + "7" * 32, "Phase": "before"}, "which doesn't exist"),
    ],
)
async def test_a_wrong_hold_is_refused(
    operator: Caller, active: ActivePolicy, form: dict[str, str], message: str
) -> None:
    answer = await operator.post(HOLDS, form)
    assert (answer.status, active.number) == (400, 0)
    assert message in answer.json["message"]


async def test_a_release_of_no_hold_is_refused(operator: Caller) -> None:
    answer = await operator.post(RELEASE, {"UrlPrefix": URL})
    assert (answer.status, f"there is no hold of {URL}" in answer.json["message"]) == (400, True)


async def test_another_version_and_an_account_are_refused(
    caller: Caller, operator: Caller, active: ActivePolicy
) -> None:
    assert (await operator.post(HOLDS, {**DRY, "Version": "3"})).status == 409
    assert (await caller.post(HOLDS, DRY)).status == 403
    assert (await caller.post(RELEASE, HOLD)).status == 403
    assert active.number == 0


async def test_a_server_that_stays_in_a_phase_compares_from_there(store: Store) -> None:
    active, clock = ActivePolicy(NOTICE, phase="between"), FakeClock(DATE)
    monitor, stored = monitor_of(store, active, clock), stored_in(store, active, clock)
    await store.transact(lambda tx: tx.accounts.keys.add(OPERATORS))
    app = app_on(
        store,
        clock=clock,
        portal=lambda on: PolicyChangeEndpoints(on, monitor, stored, as_text).operations(),
    )
    operator = Caller(app, credentials=(OPERATORS.sid, "operator's"))
    told = (await operator.post(HOLDS, HOLD)).json
    assert (told["now"]["date"], told["counted"]) == ("2024-10-16T00:00:00Z", None)
    # The hold of the process itself is in no version.
    assert [hold.url_prefix for hold in active.stored.holds] == ["https://ours.example/"]
    assert active.stay == active.policy.holds[-1]
