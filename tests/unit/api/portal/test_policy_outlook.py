"""What the policy changes ahead, in the portal: for an account, and for all."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from starlette.types import ASGIApp

from ringback.api.portal.policy_outlook import PolicyOutlookEndpoints
from ringback.core.callback_urls.callback_target import CallbackTarget
from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.callbacks.callback import CallbackStatus
from ringback.core.policy.receiver_evidence import ReceiverCheck
from ringback.core.policy.source_policy import NOTICE, PhaseHold, Policy, Source
from ringback.policy.active_policy import ActivePolicy
from ringback.policy.policy_monitor import PolicyMonitor
from ringback.ports import Store, Transaction
from tests.fakes import ACCOUNT_SID, AUTH_TOKEN, FakeClock, a_callback, a_fleet, an_api_key
from tests.policy_monitors import counted, monitor_of, running
from tests.unit.api.caller import Caller
from tests.unit.api.world import THEIRS, app_on, refusal

OUTLOOK, URLS = "/portal/v1/policy/outlook", "/portal/v1/policy/urls"
OPERATORS = an_api_key("SK" + "0" * 32, None, "operator's")
KORE = Source.KORE
DAY = timedelta(days=1)
DATE = datetime(2024, 10, 14, tzinfo=UTC)
END = DATE + DAY
HOLDS = (PhaseHold("before", THEIRS, "https://held.example", until=END),)
SENT = [
    (ACCOUNT_SID, "https://ours.example/a#rc=2"),
    (ACCOUNT_SID, "https://ours.example/b#cbs=kore"),
    (ACCOUNT_SID, "https://ours.example/c#cbs=twilio"),
    (ACCOUNT_SID, "https://else.example/"),
    (THEIRS, "https://theirs.example/"),
    (THEIRS, "https://held.example/"),
]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(DATE)


@pytest.fixture
def active() -> ActivePolicy:
    return ActivePolicy(Policy(NOTICE.phases, HOLDS))


async def monitor_on(
    store: Store, active: ActivePolicy, clock: FakeClock, *, at: datetime = DATE
) -> PolicyMonitor:
    def work(tx: Transaction) -> None:
        tx.accounts.keys.add(OPERATORS)
        for number, (account_sid, url) in enumerate(SENT):
            sid, created = f"CB{number:032x}", clock.now() - DAY
            tx.callbacks.add(a_callback(sid=sid, account_sid=account_sid, url=url, now=created))

    await store.transact(work)
    monitor = monitor_of(store, active, clock)
    async with running(monitor):
        await counted(monitor, at)
    return monitor


def app_with(store: Store, monitor: PolicyMonitor, clock: FakeClock) -> ASGIApp:
    return app_on(
        store, clock=clock, portal=lambda on: PolicyOutlookEndpoints(on, monitor).operations()
    )


@pytest.fixture
async def app(store: Store, active: ActivePolicy, clock: FakeClock) -> ASGIApp:
    return app_with(store, await monitor_on(store, active, clock), clock)


@pytest.fixture
def operator(app: ASGIApp) -> Caller:
    return Caller(app, credentials=(OPERATORS.sid, "operator's"))


async def test_it_shows_what_is_ahead_and_whom_it_concerns(caller: Caller) -> None:
    told = (await caller.get(OUTLOOK)).json
    ahead = [(one["date"], one["change"], one["callbacks"], one["urls"]) for one in told["ahead"]]
    assert ahead == [
        ("2024-10-16T00:00:00Z", "default_moves", 2, 2),
        ("2024-11-02T00:00:00Z", "source_ends", 1, 1),
    ]
    assert (told["now"], told["at"]) == ("2024-10-14T00:00:00Z", "2024-10-16T00:00:00Z")
    assert (told["phase_now"], told["phase"]) == ("before", "between")
    assert (told["counted"], told["callbacks_counted"]) == (told["now"], told["now"])
    by_source = {one["source"]: one["urls"] for one in told["urls"]["sources"]}
    assert by_source == {"twilio": 3, "kore": 1}
    by_source_then = {one["source"]: one["urls"] for one in told["urls"]["sources_then"]}
    assert by_source_then == {"twilio": 1, "kore": 3}


async def test_an_account_sees_nothing_of_others(caller: Caller, operator: Caller) -> None:
    for path in (OUTLOOK, URLS):
        told = await caller.get(path)
        for theirs in (THEIRS, "theirs.example", "held.example", "holds_end"):
            assert theirs.encode() not in told.body
    # The end of their hold is the next change; an account must not see its date either.
    assert (await caller.get(URLS)).json["at"] == "2024-10-16T00:00:00Z"
    assert (await operator.get(URLS)).json["at"] == "2024-10-15T00:00:00Z"
    assert (await operator.get(OUTLOOK)).json["ahead"][0]["change"] == "holds_end"
    assert (await operator.get(OUTLOOK)).json["urls"]["accounts"] == 2


async def test_at_another_date(caller: Caller) -> None:
    told = (await caller.get(f"{OUTLOOK}?At=2024-11-03")).json
    assert told["phase"] == "after"
    assert [one["source"] for one in told["urls"]["sources_then"]] == ["kore"]
    assert refusal(await caller.get(f"{OUTLOOK}?At=soon"))[0] == 400


async def test_urls_that_change_come_first_and_pages_follow_each_other(caller: Caller) -> None:
    found, token, page = list[tuple[str, bool]](), "", dict[str, Any]()
    while token is not None:
        page = (await caller.get(f"{URLS}?PageSize=3&PageToken={token}")).json
        found += [(one["url"], one["changes"]) for one in page["urls"]]
        token = page["next_page_token"]
    assert found == [
        ("https://else.example/", True),
        ("https://ours.example/a#rc=2", True),
        ("https://ours.example/b#cbs=kore", False),
        ("https://ours.example/c#cbs=twilio", False),
    ]
    assert (page["found"], page["changing"]) == (4, 2)


async def test_urls_by_a_part_of_them(caller: Caller) -> None:
    told = (await caller.get(f"{URLS}?Url=ours&Changing=yes")).json
    (one,) = told["urls"]
    assert one["url"] == "https://ours.example/a#rc=2"
    assert (one["source_asked"], one["callbacks"], one["use"]) == (None, 1, "requests")
    reason = "the default in the current phase, `before`"
    assert one["now"] == {"source": "twilio", "reason": reason}
    assert one["then"]["source"] == "kore"
    assert one["last"] == "2024-10-13T00:00:00Z"


@pytest.mark.parametrize("token", ["x", "W10=", "é", "W1tb", "NQ=="])
async def test_a_wrong_page_token_is_refused(caller: Caller, token: str) -> None:
    assert (
        refusal(await caller.get(f"{URLS}?PageToken={token}".encode().decode("latin-1")))[0] == 400
    )


async def test_before_the_first_count_it_shows_the_dates_only(
    store: Store, active: ActivePolicy, clock: FakeClock
) -> None:
    app = app_with(store, monitor_of(store, active, clock), clock)
    caller = Caller(app, credentials=(ACCOUNT_SID, AUTH_TOKEN))
    told = (await caller.get(OUTLOOK)).json
    assert (told["counted"], told["urls"]) == (None, None)
    assert told["ahead"][0]["change"] == "default_moves"
    assert (await caller.get(URLS)).json["urls"] == []


async def test_a_calendar_that_is_ahead_of_the_clock(store: Store) -> None:
    clock = FakeClock(DATE - 1000 * DAY)
    active = ActivePolicy(replace(NOTICE, ahead=1000 * DAY))
    monitor = await monitor_on(store, active, clock, at=clock.now())
    caller = Caller(app_with(store, monitor, clock), credentials=(ACCOUNT_SID, AUTH_TOKEN))
    told = (await caller.get(OUTLOOK)).json
    assert (told["now"], told["ahead"][0]["seconds_left"]) == ("2024-10-14T00:00:00Z", 2 * 86400)
    assert told["urls"]["sent"]["since"] == "2022-01-10T00:00:00Z"
    assert told["urls"]["changing"]["urls"] == 2


async def test_a_server_that_stays_in_a_phase_shows_the_changes_after_it(
    store: Store, clock: FakeClock
) -> None:
    active = ActivePolicy(NOTICE, phase="between")
    monitor = await monitor_on(store, active, clock)
    caller = Caller(app_with(store, monitor, clock), credentials=(ACCOUNT_SID, AUTH_TOKEN))
    told = (await caller.get(OUTLOOK)).json
    assert (told["stays_in"], told["phase_now"], told["phase"]) == ("between", "between", "after")
    assert [one["change"] for one in told["ahead"]] == ["source_ends"]


async def test_asking_has_the_urls_counted_soon(
    store: Store, active: ActivePolicy, clock: FakeClock
) -> None:
    monitor = await monitor_on(store, active, clock)
    caller = Caller(app_with(store, monitor, clock), credentials=(ACCOUNT_SID, AUTH_TOKEN))
    fleet = replace(
        a_fleet(unique_name=None),
        sms_commands=CallbackTarget(CallbackUrl.parse("https://new.example/")),
    )
    async with running(monitor):
        await counted(monitor, DATE)
        await store.transact(lambda tx: tx.supersim.fleets.add(fleet))
        clock.advance(timedelta(seconds=10))
        assert (await caller.get(f"{URLS}?Url=new")).json["found"] == 0
        await counted(monitor, clock.now())
    assert (await caller.get(f"{URLS}?Url=new")).json["found"] == 1


# ---- whom it would break


async def test_each_url_that_changes_has_a_verdict(store: Store, active: ActivePolicy) -> None:
    clock = FakeClock(DATE)
    checked = ReceiverCheck(
        ACCOUNT_SID, "https://else.example/", KORE, DATE, "refuses-kore", "a 403 to kore"
    )
    await store.transact(lambda tx: tx.receiver_checks.save(checked))
    # Callbacks of another form of the same URL, and those of others.
    for number, (whose, url) in enumerate(
        [(ACCOUNT_SID, "https://ours.example/a#cbs=kore"), (THEIRS, "https://theirs.example/")]
    ):
        callback = a_callback(
            sid=f"CB{number + 50:032x}", account_sid=whose, url=url, now=DATE - DAY
        )
        progress = callback.progress._replace(status=CallbackStatus.FAILED)
        failed = callback._replace(progress=progress)
        await store.transact(lambda tx, one=failed: tx.callbacks.add(one))
    app = app_with(store, await monitor_on(store, active, clock), clock)
    caller = Caller(app, credentials=(ACCOUNT_SID, AUTH_TOKEN))
    found = (await caller.get(f"{URLS}?Changing=yes")).json["urls"]
    assert {one["url"]: one["receiver"] for one in found} == {
        "https://else.example/": {
            "source": "kore",
            "verdict": "fault",
            "words": "a 403 to kore",
            "evidence": "check",
            "date": "2024-10-14T00:00:00Z",
            "fault": "refuses-kore",
        },
        "https://ours.example/a#rc=2": {
            "source": "kore",
            "verdict": "fault",
            "words": "1 of 1 callback from kore not delivered",
            "evidence": "deliveries",
            "date": "2024-10-13T00:00:00Z",
            "fault": None,
        },
    }
    moves, ends = (await caller.get(OUTLOOK)).json["ahead"]
    counts = {name: moves["receivers"][name] for name in ("ready", "fault", "unknown")}
    assert counts == {"ready": 0, "fault": 2, "unknown": 0}
    first = {(one["url"], one["source"], one["words"]) for one in moves["receivers"]["first"]}
    assert ("https://else.example/", "kore", "a 403 to kore") in first
    assert ends["receivers"]["unknown"] == 1
    # A new check counts at once.
    ready = replace(checked, fault=None, words="", date=DATE + DAY)
    await store.transact(lambda tx: tx.receiver_checks.save(ready))
    moves, _ = (await caller.get(OUTLOOK)).json["ahead"]
    assert (moves["receivers"]["ready"], moves["receivers"]["fault"]) == (1, 1)
