"""Plans in the portal: drafted from the server's own data, listed, and shown as they go on."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from starlette.types import ASGIApp

from ringback.api.portal.plan_views import PlanViewEndpoints
from ringback.application.plan_desk import PlanDesk
from ringback.core.callback_urls.callback_target import CallbackTarget
from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.http.outcome import RefusedOutcome
from ringback.core.policy.receiver_evidence import ReceiverCheck
from ringback.core.policy.source_policy import NOTICE, Source
from ringback.migration.plan import MigrationPlan
from ringback.migration.url_source import UrlEntry
from ringback.operations.plan_jobs import PlanAction, PlanWork
from ringback.policy.active_policy import ActivePolicy
from tests.fakes import ACCOUNT_SID, AUTH_TOKEN, SeededRandomness, a_fleet, an_account, an_api_key
from tests.memory_store import MemoryStore
from tests.policy_monitors import monitor_of
from tests.unit.api.caller import Caller
from tests.unit.api.world import THEIRS, app_on
from tests.unit.migration.sim_platform import PLAN_ID, Platform, number_of, url_of

PLANS = "/portal/v1/plans"
ONE, DRAFTS = f"{PLANS}/{PLAN_ID}", f"{PLANS}/drafts"
OPERATORS = an_api_key("SK" + "0" * 32, None, "operator's")
SECOND = timedelta(seconds=1)
CANARY = PlanWork(action=PlanAction.APPLY, shares=(50,), soak=20 * SECOND, least=1, wait=8 * SECOND)
REFUSES = "a genuine callback from kore is not accepted: answered 403"


@pytest.fixture
async def platform() -> Platform:
    platform = Platform(MemoryStore())
    await platform.begin(4)
    await platform.store.transact(lambda tx: tx.accounts.keys.add(OPERATORS))
    await platform.store.transact(lambda tx: tx.accounts.add(an_account(sid=THEIRS), []))
    return platform


@pytest.fixture
def app(platform: Platform) -> ASGIApp:
    monitor = monitor_of(platform.store, ActivePolicy(NOTICE), platform.clock)
    desk = PlanDesk(platform.store, platform.clock, SeededRandomness(), monitor)
    return app_on(
        platform.store,
        clock=platform.clock,
        portal=lambda on: PlanViewEndpoints(on, desk).operations(),
    )


@pytest.fixture
def caller(app: ASGIApp) -> Caller:
    return Caller(app, credentials=(ACCOUNT_SID, AUTH_TOKEN))


@pytest.fixture
def operator(app: ASGIApp) -> Caller:
    return Caller(app, credentials=(OPERATORS.sid, "operator's"))


async def have_theirs(platform: Platform) -> None:
    fleet = a_fleet(sid="HF" + "e" * 32, unique_name=None)
    target = CallbackTarget(CallbackUrl.parse("https://theirs.example/#cbs=kore"))
    theirs = replace(
        fleet, account_sid=THEIRS, network_access_profile_sid="none", sms_commands=target
    )
    await platform.store.transact(lambda tx: tx.supersim.fleets.add(theirs))


def by_number(told: Any) -> dict[int, dict[str, Any]]:
    return {number_of(one["url"]): one for one in told["urls"]}


# ---- drafts


async def test_a_draft_is_a_plan_of_the_own_urls(caller: Caller, platform: Platform) -> None:
    await have_theirs(platform)
    answer = await caller.post(DRAFTS, {"To": "kore"})
    assert answer.status == 200
    told = answer.json
    plan = MigrationPlan.of_lines(told["lines"], "it")
    assert (plan.id, plan.to, len(plan.edits)) == (told["id"], "kore", 4)
    assert (told["edits"], told["left_out"], told["without_effect"]) == (4, {}, {})
    assert told["first"][0] == {
        "account_sid": ACCOUNT_SID,
        "place": plan.edits[0].place.name,
        "method": "POST",
        "url": plan.edits[0].old,
        "new": f"{plan.edits[0].old}#cbs=kore",
    }
    assert platform.store.tables.jobs.records == {}  # pyright: ignore[reportAttributeAccessIssue] (a MemoryStore)


async def test_a_draft_of_some_urls_says_why_others_are_left_out(
    operator: Caller, platform: Platform
) -> None:
    await have_theirs(platform)
    told = (await operator.post(DRAFTS, {"To": "kore"})).json
    assert (told["edits"], told["left_out"]) == (4, {"asks for it already": 1})
    form = {"To": "kore", "UrlPrefix": url_of(1), "Select": "source=none"}
    told = (await operator.post(DRAFTS, form)).json
    assert [one["url"] for one in told["first"]] == [url_of(1)]
    assert told["left_out"] == {"not selected": 4}
    told = (await operator.post(DRAFTS, {"To": "twilio", "AccountSid": THEIRS})).json
    assert [one["url"] for one in told["first"]] == ["https://theirs.example/#cbs=kore"]
    told = (await operator.post(DRAFTS, {"To": "kore", "Percent": "1"})).json
    assert told["left_out"]["not in the share"] >= 3


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({}, "To is required"),
        ({"To": "acme"}, "To='acme' is not a source of the policy; it has twilio, kore"),
        ({"To": "kore", "Select": "colour=blue"}, "Select: 'colour=blue' is not a condition"),
        ({"To": "kore", "Percent": "0"}, "Percent"),
        ({"To": "kore", "AccountSid": THEIRS}, "an account can move only its own URLs"),
    ],
)
async def test_a_wrong_draft_is_refused(caller: Caller, form: dict[str, str], message: str) -> None:
    answer = await caller.post(DRAFTS, form)
    assert (answer.status, message in answer.json["message"]) == (400, True)


# ---- plans of jobs


async def test_plans_are_listed_with_their_newest_job(
    caller: Caller, operator: Caller, platform: Platform
) -> None:
    assert (await operator.get(PLANS)).json == {"plans": []}
    await platform.carry_out(PlanWork(action=PlanAction.APPLY))
    revert = await platform.order(PlanWork(action=PlanAction.REVERT))
    (plan,) = (await operator.get(PLANS)).json["plans"]
    assert (plan["id"], plan["account_sid"], plan["to"], plan["edits"]) == (
        PLAN_ID,
        None,
        "kore",
        4,
    )
    assert (plan["job"]["sid"], plan["job"]["action"]) == (revert.sid, "revert")
    assert plan["job"]["status"] == "running"
    assert (await caller.get(PLANS)).json == {"plans": []}
    assert (await caller.get(ONE)).status == 404


async def test_a_skipped_url_comes_with_its_fault(operator: Caller, platform: Platform) -> None:
    check = ReceiverCheck(
        ACCOUNT_SID, url_of(2), Source.KORE, platform.clock.now(), "refuses-kore", REFUSES
    )
    await platform.store.transact(lambda tx: tx.receiver_checks.save(check))

    async def refuses_two(entry: UrlEntry) -> str | None:
        return REFUSES if number_of(entry.url) == 2 else None

    await platform.carry_out(PlanWork(action=PlanAction.APPLY), refuses_two)
    told = (await operator.get(ONE)).json
    first = told["urls"][0]
    assert (number_of(first["url"]), first["state"], first["words"]) == (2, "skipped", REFUSES)
    assert first["check"]["fault"] == "refuses-kore"
    assert "Kore-Signature" in first["check"]["fix"]
    assert (told["counts"]["moved"], told["counts"]["skipped"]) == (3, 1)
    assert [(one["share"], one["state"]) for one in told["steps"]] == [(100, "done")]
    assert (told["to"], told["problem"], told["edits"]) == ("kore", None, 4)
    assert by_number(told)[0]["check"] is None


async def test_a_step_that_is_watched_shows_its_deliveries(
    operator: Caller, platform: Platform
) -> None:
    await platform.pass_traffic()  # before the move, from twilio
    platform.clock.pass_by(60 * SECOND)
    platform.silent, looks = {0, 1, 2, 3}, list[Any]()
    traffic = platform.clock.traffic

    async def look_once() -> None:
        summary = await platform.summary()
        if summary.step is not None and summary.step.watched_until and not looks:
            watched = [edit.new for edit in summary.edits.values()]
            platform.outcomes[number_of(watched[0])] = RefusedOutcome(403)
            await platform.call(watched[0])
            await platform.call(watched[0])
            await platform.deliver()
            platform.clock.pass_by(2 * SECOND)
            looks.append((watched, (await operator.get(ONE)).json))
        await traffic()

    platform.clock.traffic = look_once
    await platform.carry_out(CANARY)
    ((watched, told),) = looks
    assert [one["state"] for one in told["steps"]] == ["watching", "to come"]
    assert told["steps"][0]["until"] is not None
    assert told["deliveries_counted"] is not None
    states = {one["new"]: one for one in told["urls"]}
    first, second = (states[url] for url in watched)
    assert (first["state"], second["state"]) == ("watched", "watched")
    assert (first["before"], first["since"]) == (
        {"delivered": 1, "total": 1},
        {"delivered": 0, "total": 2},
    )
    assert (first["verdict"], second["verdict"]) == ("worse", "not called yet")
    assert told["counts"]["to come"] == 2
    # The journal is read on from where it was.
    ended = (await operator.get(ONE)).json
    assert (ended["job"]["action"], ended["deliveries_counted"]) == ("apply", None)
    worse = next(one for one in ended["urls"] if one["state"] == "worse")
    assert worse["verdict"] == "worse"
    assert "2 of 2 fail" in worse["words"]


async def test_a_journal_that_cannot_be_read_is_a_conflict(
    operator: Caller, platform: Platform
) -> None:
    await platform.order(PlanWork(action=PlanAction.APPLY))
    last = await platform.store.read(lambda tx: tx.plans.last("*", PLAN_ID))
    odd = [json.dumps({"ringback_journal": "of the future", "at": "2026-01-01T00:00:00Z"})]
    await platform.store.transact(lambda tx: tx.plans.add("*", PLAN_ID, last + 1, odd))
    answer = await operator.get(ONE)
    assert (answer.status, "can't be read" in answer.json["message"]) == (409, True)


async def test_an_unknown_plan_is_not_found(operator: Caller) -> None:
    assert (await operator.get(f"{PLANS}/none")).status == 404
