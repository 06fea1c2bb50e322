"""The policy in the portal: the operator sees all of it, an account what concerns it."""

from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from starlette.types import ASGIApp

from ringback.api.authentication import ACT_FOR
from ringback.api.portal.policy import PolicyEndpoints
from ringback.core.policy.source_policy import NOTICE, PhaseHold, Policy
from ringback.operations.delivery_totals import count_last_week
from ringback.policy.active_policy import ActivePolicy
from ringback.policy.policy_monitor import PolicyMonitor
from ringback.ports import Store, Transaction
from tests.fakes import ACCOUNT_SID, AUTH_TOKEN, FakeClock, a_callback, an_api_key
from tests.policy_monitors import counted, running
from tests.unit.api.caller import Caller
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
    return PolicyMonitor(
        active, count=partial(count_last_week, store), clock=clock, before=(3 * DAY,)
    )


def app_with(monitor: PolicyMonitor, store: Store, clock: FakeClock) -> ASGIApp:
    return app_on(store, clock=clock, portal=lambda on: PolicyEndpoints(on, monitor).operations())


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
    monitor = PolicyMonitor(active, count=partial(count_last_week, store), clock=clock, before=())
    app = app_with(monitor, store, clock)
    told = (await Caller(app, credentials=(ACCOUNT_SID, AUTH_TOKEN)).get(POLICY)).json
    assert (told["counted"], told["dependents"]) == (None, [])
    assert [hold["account_sid"] for hold in told["holds"]] == [ACCOUNT_SID, None]


async def test_a_client_without_credentials_sees_nothing(app: ASGIApp) -> None:
    answer = await Caller(app, credentials=(ACCOUNT_SID, "wrong")).get(POLICY)
    assert refusal(answer) == (401, 20003)
