"""The policy in the portal: the operator sees all of it, an account what concerns it."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from starlette.types import ASGIApp

from ringback.api.authentication import ACT_FOR
from ringback.api.portal.policy import MAX_BODY, PolicyEndpoints
from ringback.core.calendar import iso
from ringback.core.policy.policy_json import read_policy
from ringback.core.policy.policy_version import OPERATOR, PolicyVersion
from ringback.core.policy.source_policy import NOTICE, Phase, PhaseHold, Policy, Source
from ringback.policy.active_policy import ActivePolicy
from ringback.policy.policy_monitor import PolicyMonitor
from ringback.ports import Store, Transaction
from tests.fakes import ACCOUNT_SID, AUTH_TOKEN, NOW, FakeClock, a_callback, an_api_key
from tests.policy_monitors import counted, monitor_of, running, stored_in, version_of
from tests.unit.api.caller import Answer, Caller
from tests.unit.api.world import THEIRS, app_on, refusal

POLICY = "/portal/v1/policy"
OPERATORS = an_api_key("SK" + "0" * 32, None, "operator's")
DAY = timedelta(days=1)
DATE = datetime(2024, 10, 14, tzinfo=UTC)
END = DATE + 5 * DAY
HOLDS = (
    PhaseHold("before", url_prefix="https://ours.example"),
    PhaseHold("before", url_prefix="https://theirs.example"),
    PhaseHold("before", ACCOUNT_SID, until=END),
    PhaseHold("before", THEIRS, until=END),
    PhaseHold("before", THEIRS, "https://one.example", until=END + DAY),
    PhaseHold("between", until=DATE),
)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(DATE)


@pytest.fixture
def active() -> ActivePolicy:
    return ActivePolicy(Policy(NOTICE.phases, HOLDS))


@pytest.fixture
async def monitor(store: Store, clock: FakeClock, active: ActivePolicy) -> PolicyMonitor:
    def work(tx: Transaction) -> None:
        tx.accounts.keys.add(OPERATORS)
        for number, (account_sid, url) in enumerate(
            [
                (ACCOUNT_SID, "https://ours.example#rc=2"),
                (ACCOUNT_SID, "https://else.example/"),
                (THEIRS, "https://theirs.example/"),
                (THEIRS, "https://else.example/"),
            ]
        ):
            created = DATE - number * DAY - DAY
            tx.callbacks.add(
                a_callback(sid=f"CB{number:032x}", account_sid=account_sid, url=url, now=created)
            )

    await store.transact(work)
    return monitor_of(store, active, clock, before=(3 * DAY,))


def app_with(monitor: PolicyMonitor, store: Store, clock: FakeClock) -> ASGIApp:
    stored = stored_in(store, monitor.active, clock)
    return app_on(
        store, clock=clock, portal=lambda on: PolicyEndpoints(on, monitor, stored).operations()
    )


@pytest.fixture
async def app(store: Store, clock: FakeClock, monitor: PolicyMonitor) -> ASGIApp:
    async with running(monitor):
        await counted(monitor, DATE)
    return app_with(monitor, store, clock)


@pytest.fixture
def operator(app: ASGIApp) -> Caller:
    return Caller(app, credentials=(OPERATORS.sid, "operator's"))


async def test_it_shows_the_current_source_and_future_changes(caller: Caller) -> None:
    answer = await caller.get(POLICY)
    assert answer.status == 200
    told = answer.json
    assert (told["date"], told["phase"]) == ("2024-10-14T00:00:00Z", "before")
    assert told["phases"][1] == {
        "name": "between",
        "since": "2024-10-16T00:00:00Z",
        "default": "kore",
        "may_ask": ["kore", "twilio"],
    }
    assert told["borders"][0] == {
        "date": "2024-10-16T00:00:00Z",
        "change": "default_moves",
        "meaning": "the default moves from twilio to kore",
        "seconds_left": 172800.0,
    }
    assert told["warnings"] == [
        "the default moves from twilio to kore at 2024-10-16T00:00:00Z, in 2 days"
    ]


async def test_an_account_sees_only_holds_that_affect_it(caller: Caller) -> None:
    told = (await caller.get(POLICY)).json
    held = [(hold["account_sid"], hold["url_prefix"]) for hold in told["holds"]]
    assert held == [(None, "https://ours.example"), (ACCOUNT_SID, None), (None, None)]
    assert [hold["has_ended"] for hold in told["holds"]] == [False, False, True]
    ends = [one["meaning"] for one in told["borders"] if one["change"] == "holds_end"]
    assert ends == [f"the hold of {ACCOUNT_SID} in phase 'before' ends"]
    assert THEIRS not in str(told)
    assert "theirs.example" not in str(told)


async def test_an_account_sees_how_many_of_its_callbacks_depend_on_the_ending_source(
    caller: Caller,
) -> None:
    told = (await caller.get(POLICY)).json
    assert told["counted"] == "2024-10-14T00:00:00Z"
    assert told["dependents"] == [{"source": "twilio", "accounts": 1, "urls": 2, "callbacks": 2}]


async def test_the_operator_sees_everything_or_an_accounts_view(operator: Caller) -> None:
    told = (await operator.get(POLICY)).json
    assert len(told["holds"]) == len(HOLDS)
    assert told["dependents"] == [{"source": "twilio", "accounts": 2, "urls": 4, "callbacks": 4}]
    as_account = (await operator.get(POLICY, **{ACT_FOR.lower(): THEIRS})).json
    assert [hold["account_sid"] for hold in as_account["holds"]] == [None, THEIRS, THEIRS, None]


async def test_only_the_operator_sees_errors_in_the_file(
    caller: Caller, operator: Caller, active: ActivePolicy
) -> None:
    assert (await operator.get(POLICY)).json["problem"] is None
    active.refuse("ringback.toml:3: what is this")
    assert (await operator.get(POLICY)).json["problem"] == "ringback.toml:3: what is this"
    assert (await caller.get(POLICY)).json["problem"] is None


async def test_before_the_first_count_it_says_so(
    store: Store, clock: FakeClock, active: ActivePolicy
) -> None:
    monitor = monitor_of(store, active, clock)
    app = app_with(monitor, store, clock)
    told = (await Caller(app, credentials=(ACCOUNT_SID, AUTH_TOKEN)).get(POLICY)).json
    assert (told["counted"], told["dependents"]) == (None, [])
    assert [hold["account_sid"] for hold in told["holds"]] == [ACCOUNT_SID, None]


async def test_a_client_without_credentials_sees_nothing(app: ASGIApp) -> None:
    answer = await Caller(app, credentials=(ACCOUNT_SID, "wrong")).get(POLICY)
    assert refusal(answer) == (401, 20003)


# ---- versions


async def test_only_the_operator_sees_where_the_version_is_from(
    caller: Caller, operator: Caller, active: ActivePolicy
) -> None:
    active.activate(version_of(Policy(NOTICE.phases, HOLDS), 7))
    active.behind = "ringback.toml is behind"
    told = (await operator.get(POLICY)).json
    names = ("version", "origin", "date_created", "behind", "stays_in")
    assert [told[name] for name in names] == [
        *(7, "the operator", iso(NOW)),
        *("ringback.toml is behind", None),
    ]
    told = (await caller.get(POLICY)).json
    assert [told[name] for name in names] == [7, None, None, None, None]


async def test_a_version_that_the_server_can_not_use_is_a_problem(
    operator: Caller, active: ActivePolicy
) -> None:
    active.unusable = "this server can't use the policy in force"
    assert (await operator.get(POLICY)).json["problem"] == active.unusable


async def test_the_phase_in_which_dev_stays_is_not_among_the_holds(
    store: Store, clock: FakeClock
) -> None:
    own = PhaseHold("after")
    active = ActivePolicy(Policy(NOTICE.phases, (PhaseHold("before", THEIRS), own)), phase="after")
    monitor = monitor_of(store, active, clock)
    await store.transact(lambda tx: tx.accounts.keys.add(OPERATORS))
    app = app_with(monitor, store, clock)
    told = (await Caller(app, credentials=(OPERATORS.sid, "operator's")).get(POLICY)).json
    assert (told["phase"], told["stays_in"]) == ("after", "after")
    assert [(hold["phase"], hold["account_sid"]) for hold in told["holds"]] == [
        ("before", THEIRS),
        ("after", None),
    ]


# ---- replacing it

JSON = {"content-type": "application/json"}
PHASE: dict[str, Any] = {"name": "all", "since": None, "default": "kore", "may_ask": ["kore"]}
NEW: dict[str, Any] = {"version": 0, "phases": [PHASE], "holds": []}


async def put(caller: Caller, body: object, **headers: str) -> Answer:
    encoded = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await caller.call("PUT", POLICY, encoded, headers=JSON | headers)


async def test_the_operator_replaces_the_policy(
    operator: Caller, caller: Caller, active: ActivePolicy, store: Store
) -> None:
    hold = {"phase": "all", "account_sid": THEIRS, "until": "2027-06-01T12:00:00+02:00"}
    answer = await put(operator, NEW | {"holds": [hold]})
    assert answer.status == 200
    until = datetime(2027, 6, 1, 10, tzinfo=UTC)
    policy = Policy(
        (Phase("all", None, Source.KORE, frozenset({Source.KORE})),),
        (PhaseHold("all", THEIRS, until=until),),
    )
    assert active.policy == policy
    newest = await store.read(lambda tx: tx.policies.newest())
    assert newest == PolicyVersion(1, policy, DATE, OPERATOR)
    assert answer.json == (await operator.get(POLICY)).json
    assert answer.json["holds"] == [
        {
            "phase": "all",
            "account_sid": THEIRS,
            "url_prefix": None,
            "until": "2027-06-01T10:00:00Z",
            "has_ended": False,
        }
    ]
    assert (await caller.get(POLICY)).json["version"] == 1


async def test_what_was_fetched_can_be_sent_back(operator: Caller, active: ActivePolicy) -> None:
    fetched = (await operator.get(POLICY)).json
    before = active.policy
    answer = await put(operator, fetched)
    assert (answer.status, answer.json["version"]) == (200, 1)
    assert active.policy == before
    again = await put(operator, answer.json)
    assert (again.status, again.json["version"]) == (200, 1)


async def test_a_change_of_an_older_version_is_refused(operator: Caller) -> None:
    assert (await put(operator, NEW)).status == 200
    answer = await put(operator, NEW | {"phases": [PHASE | {"name": "other"}]})
    assert refusal(answer) == (409, 20409)
    assert answer.json["message"] == (
        "version=0: the policy has been changed since then, and is at version 1 now; look at it,"
        " and change that version"
    )
    assert (await operator.get(POLICY)).json["phases"][0]["name"] == "all"


async def test_an_account_can_not_change_the_policy(
    caller: Caller, operator: Caller, active: ActivePolicy
) -> None:
    before = active.policy
    for answer in (
        await put(caller, NEW),
        await put(operator, NEW, **{ACT_FOR.lower(): ACCOUNT_SID}),
    ):
        assert refusal(answer) == (403, 20006)
        assert "sign in with an operator's key" in answer.json["message"]
    assert active.policy == before


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"{", "the body can't be read as JSON"),
        ([], "the body must be an object with version, phases, holds"),
        ({"version": 0, "phases": [PHASE]}, "policy: holds must be a list of objects"),
        ({"phases": [PHASE], "holds": []}, "version must be the number of the version"),
        (NEW | {"version": True}, "version must be the number of the version"),
        (NEW | {"version": "0"}, "version must be the number of the version"),
        (NEW | {"hold": []}, "'hold' is not a field of a policy"),
        (NEW | {"phases": []}, "policy: the first phase must have no date"),
        (NEW | {"phases": [PHASE | {"since": "soon"}]}, "policy: phases[0].since: 'soon' is not"),
        (
            NEW | {"phases": [PHASE | {"default": "acme", "may_ask": ["acme"]}]},
            "the policy names the source 'acme', which this server doesn't have; its sources are"
            " twilio, kore",
        ),
        (NEW | {"holds": [{"phase": "later"}]}, "policy: a hold names the unknown phase 'later'"),
        (NEW | {"warnings": [[[[[[[[[]]]]]]]]]}, "the body is nested deeper than 8 levels"),
        (b'{"version": 0, "holds": [], "phases": [], "holds": []}', "is given twice in one JSON"),
        (b'"' + b"x" * MAX_BODY + b'"', f"the body is longer than the limit of {MAX_BODY} bytes"),
    ],
)
async def test_a_policy_that_is_not_valid_is_refused(
    body: object, why: str, operator: Caller, active: ActivePolicy
) -> None:
    answer = await put(operator, body)
    assert refusal(answer) == (400, 83600)
    assert why in answer.json["message"]
    assert active.number == 0


async def test_a_new_hold_is_for_an_account_that_exists(
    operator: Caller, active: ActivePolicy, store: Store
) -> None:
    nobody, theirs = "AC" + "9" * 32, await store.read(lambda tx: tx.accounts.get(THEIRS))
    assert theirs is not None
    for sid, right in (
        (nobody, "that of an account of this server, like AC…"),
        (theirs.kore_id, THEIRS),
    ):
        holds = [{"phase": "all", "account_sid": THEIRS}, {"phase": "all", "account_sid": sid}]
        answer = await put(operator, NEW | {"holds": holds})
        assert refusal(answer) == (400, 83600)
        why = f"a hold is for the account {sid!r}, which doesn't exist; its SID must be {right}"
        assert answer.json["message"] == why
    assert active.number == 0


async def test_a_hold_that_is_in_force_already_may_be_for_nobody(
    operator: Caller, store: Store
) -> None:
    hold = {"phase": "all", "account_sid": "AC" + "9" * 32}
    policy = read_policy(NEW | {"holds": [hold]})
    of_a_file = PolicyVersion(1, policy, DATE, "ringback.toml")
    assert await store.transact(lambda tx: tx.policies.add(of_a_file))
    more = [hold, {"phase": "all", "url_prefix": "https://a.example/"}]
    assert (await put(operator, NEW | {"version": 1, "holds": more})).status == 200


async def test_a_form_is_not_a_policy(operator: Caller) -> None:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    answer = await put(operator, NEW, **headers)
    assert refusal(answer) == (400, 83600)


async def test_a_policy_with_thousands_of_holds_is_accepted(
    operator: Caller, active: ActivePolicy
) -> None:
    holds = [
        {"phase": "all", "account_sid": THEIRS, "url_prefix": f"https://{number}.example/"}
        for number in range(10_000)
    ]
    assert (await put(operator, NEW | {"holds": holds})).status == 200
    assert len(active.policy.holds) == 10_000
