"""The portal's responses are exactly what the OpenAPI document describes."""

from dataclasses import replace
from datetime import timedelta
from typing import Final

import jsonschema_rs
import pytest
from starlette.types import ASGIApp

from ringback.api.dependencies import ApiDependencies
from ringback.api.operation_definition import ApiOperation
from ringback.api.portal.clock import ClockEndpoints
from ringback.api.portal.plan_views import PlanViewEndpoints
from ringback.api.portal.policy import PolicyEndpoints
from ringback.api.portal.policy_changes import PolicyChangeEndpoints
from ringback.api.portal.policy_outlook import PolicyOutlookEndpoints
from ringback.api.portal.receiver_checks import CHECKS, ReceiverCheckEndpoints
from ringback.application.plan_desk import PlanDesk
from ringback.core.policy.source_policy import NOTICE, PhaseHold, Policy
from ringback.engine.clock_advancer import ClockAdvancer
from ringback.policy.active_policy import ActivePolicy
from ringback.ports import Transaction
from ringback.runtime.virtual_clock import MOST_AHEAD, VirtualClock
from ringback.settings.policy_editor import as_text
from tests.callback_queues import RecordingQueue
from tests.fakes import (
    ACCOUNT_SID,
    AUTH_TOKEN,
    CALLBACK_SID,
    NOW,
    SIM_SID,
    SeededRandomness,
    a_secret,
    an_api_key,
)
from tests.memory_store import MemoryStore
from tests.policy_monitors import counted, monitor_of, running, stored_in
from tests.stores.records import job, shared_link
from tests.streams import ARN, ENDED, a_sink, a_subscription, add_batch, add_stream, an_event_of
from tests.unit.api.caller import Caller
from tests.unit.api.described import Call, Document, check, make, operations_in, validate
from tests.unit.api.plenty import (
    ESIM_SID,
    NEW_ESIM_SID,
    NEW_SIM_SID,
    NEW_WIRELESS_SIM_SID,
    fill_with_plenty,
)
from tests.unit.api.world import app_on, found_ready
from tests.wireless_fakes import WIRELESS_ICCID, WIRELESS_SIM_SID

HOOK: Final = "http://127.0.0.1:9000/path#cbs=twilio"
LIST: Final = "/portal/v1/callbacks"
ONE: Final = f"{LIST}/{{sid}}"
DEVICE: Final = "/portal/v1/devices/{sim}"
DOWNLOAD: Final = "/portal/v1/esim_profiles/{sid}/download"
REGISTER: Final = "/portal/v1/wireless_sims"
TOTALS: Final = "/portal/v1/totals"
STORED_URLS: Final = "/portal/v1/stored_urls"
COUNTERS: Final = "/portal/v1/counters"
TEST_EVENTS: Final = "/portal/v1/test_events"
REHEARSALS: Final = "/portal/v1/rehearsals"
SHADOWS: Final = "/portal/v1/shadows"
SCENARIOS: Final = "/portal/v1/scenarios"
JOBS: Final = "/portal/v1/jobs"
PLANS: Final = "/portal/v1/plans"
A_PLAN: Final = {
    "plan": ['{"ringback_plan": {"form": 2, "id": "a plan"}}'],
    "action": "apply",
    "canary": [10, 50],
    "soak_seconds": 0.5,
    "least": 10,
    "wait_seconds": 60,
    "probe": False,
}
RUNS: Final = replace(job(1), account_sid=ACCOUNT_SID)
REPLAY: Final = {"Kind": "replay", "Since": "2024-01-01T00:00:00Z"}
POLICY: Final = "/portal/v1/policy"
CLOCK: Final = "/portal/v1/clock"
RETENTION: Final = "/portal/v1/retention"
DESTINATIONS: Final = "/portal/v1/destinations"
HERE: Final = {"Destination": "https://a.example"}
KEYS: Final = "/portal/v1/keys"
LINKS: Final = "/portal/v1/links"
A_LINK: Final = replace(shared_link(1, ACCOUNT_SID), date_expires=NOW + timedelta(days=7))
STREAMS: Final = "/portal/v1/streams"
STREAM_DESTINATIONS: Final = f"{STREAMS}/destinations"
RULES: Final = f"{STREAMS}/rules"
A_SINK: Final = a_sink()
AN_UNUSED_SINK: Final = a_sink(2)
A_RULE: Final = a_subscription()
AN_EVENT: Final = an_event_of(1)
ACCOUNTS: Final = "/portal/v1/accounts"
OWN: Final = f"{ACCOUNTS}/{{sid}}"
AUDIT: Final = "/portal/v1/audit"
AUTHOR: Final = "/portal/v1/authors/{sid}"
OWN_KEY: Final = an_api_key()
OPERATORS: Final = an_api_key("SK" + "0" * 32, None, "operator's")
NEW: Final = {"url": HOOK, "parameters": {"Order": 7, "Item": ["A1", True]}}

# Each operation at least once with success, and each error that a test can cause.
CALLS: Final = (
    Call("GET", LIST, 200),
    Call("GET", LIST, 200, {"Status": "undelivered", "Source": "kore", "PageSize": "1"}),
    Call("GET", LIST, 400, {"CreatedAfter": "yesterday"}),
    Call("GET", "/portal/v1/undelivered", 200),
    Call("GET", "/portal/v1/undelivered/groups", 200),
    Call("GET", "/portal/v1/undelivered/groups", 400, {"Status": "delivered"}),
    Call("GET", RETENTION, 200),
    Call("POST", RETENTION, 403, {"Answers": "7d"}),
    Call("POST", DESTINATIONS, 200, {**HERE, "Rate": "20", "Notify": HOOK, "Breaker": "no"}),
    Call("POST", DESTINATIONS, 400, {**HERE, "Rate": "fast"}),
    Call("POST", DESTINATIONS, 403, {**HERE, "TotalRate": "20"}),
    Call("POST", f"{DESTINATIONS}/pause", 200, {**HERE, "Reason": "moving"}),
    Call("POST", f"{DESTINATIONS}/pause", 400, {"Destination": "ftp://a.example"}),
    Call("POST", f"{DESTINATIONS}/resume", 200, HERE),
    Call("POST", f"{DESTINATIONS}/resume", 400),
    Call("POST", f"{DESTINATIONS}/test", 201, {"Destination": HOOK}),
    Call("POST", f"{DESTINATIONS}/test", 400),
    Call("GET", DESTINATIONS, 200),
    Call("GET", DESTINATIONS, 200, {"State": "well", "PageSize": "1"}),
    Call("GET", DESTINATIONS, 400, {"State": "odd"}),
    Call("GET", f"{DESTINATIONS}/one", 200, HERE),
    Call("GET", f"{DESTINATIONS}/one", 400, {"Destination": "https://nobody.example"}),
    Call("GET", f"{DESTINATIONS}/one", 400),
    Call("GET", ONE, 200, sid=CALLBACK_SID),
    Call("GET", ONE, 404, sid="none"),
    Call("GET", f"{ONE}/attempts", 200, sid=CALLBACK_SID),
    Call("GET", f"{ONE}/attempts", 404, sid="none"),
    Call("GET", f"{ONE}/explanation", 200, sid=CALLBACK_SID),
    Call("GET", f"{ONE}/explanation", 404, sid="none"),
    Call("GET", f"{ONE}/verification", 200, sid=CALLBACK_SID),
    Call("GET", f"{ONE}/verification", 404, sid="none"),
    Call("GET", f"{ONE}/comparison", 200, sid=CALLBACK_SID),
    Call("GET", f"{ONE}/comparison", 400, {"Other": CALLBACK_SID}, sid=CALLBACK_SID),
    Call("GET", f"{ONE}/comparison", 409, {"Source": "kore"}, sid=CALLBACK_SID),
    Call("GET", f"{ONE}/comparison", 404, sid="none"),
    Call("GET", "/portal/v1/example_comparison", 200),
    Call("GET", SHADOWS, 200),
    Call("GET", SHADOWS, 200, {"Source": "kore", "CallbackSid": CALLBACK_SID, "PageSize": "1"}),
    Call("GET", SHADOWS, 400, {"Source": "nobody"}),
    Call("GET", f"{SHADOWS}/report", 200, {"Since": "2024-01-01T00:00:00Z"}),
    Call("GET", f"{SHADOWS}/report", 400, {"Since": "yesterday"}),
    Call("POST", LIST, 201, json=NEW),
    Call("POST", LIST, 201, json={"callbacks": [NEW, {**NEW, "idempotency_key": "a"}]}),
    Call("POST", LIST, 400, json={"url": HOOK}),
    Call("POST", "/portal/v1/replays", 200, {"Sids": f"{CALLBACK_SID},none", "DryRun": "yes"}),
    Call("POST", "/portal/v1/replays", 200, {"Since": "2024-01-01T00:00:00Z", "Unknown": "1"}),
    Call("POST", "/portal/v1/replays", 400),
    Call("POST", f"{ONE}/discard", 400, sid=CALLBACK_SID),
    Call("POST", f"{ONE}/discard", 200, {"Reason": "made up"}, sid=CALLBACK_SID),
    Call("POST", f"{ONE}/discard", 409, {"Reason": "again"}, sid=CALLBACK_SID),
    Call("POST", f"{ONE}/replay", 201, {"AsOtherSource": "yes"}, sid=CALLBACK_SID),
    Call("POST", f"{ONE}/replay", 200, sid=CALLBACK_SID),
    Call("POST", f"{ONE}/replay", 409, {"AsOtherSource": "yes"}, sid=CALLBACK_SID),
    Call("POST", f"{ONE}/replay", 404, sid="none"),
    Call("GET", f"{JOBS}/preview", 200, REPLAY),
    Call("GET", f"{JOBS}/preview", 200, REPLAY | {"Groups": "0" * 32}),
    Call("GET", f"{JOBS}/preview", 400),
    Call("POST", JOBS, 201, REPLAY | {"Most": "9", "Rate": "5", "IdempotencyKey": "once"}),
    Call("POST", JOBS, 400, REPLAY | {"Kind": "move"}),
    Call("GET", JOBS, 200, {"Status": "running", "PageSize": "1"}),
    Call("GET", JOBS, 400, {"Status": "odd"}),
    Call("GET", f"{JOBS}/{{sid}}", 200, sid=RUNS.sid),
    Call("GET", f"{JOBS}/{{sid}}", 404, sid="none"),
    Call("POST", f"{JOBS}/{{sid}}/resume", 409, sid=RUNS.sid),
    Call("POST", f"{JOBS}/{{sid}}/pause", 200, sid=RUNS.sid),
    Call("POST", f"{JOBS}/{{sid}}/pause", 409, sid=RUNS.sid),
    Call("POST", f"{JOBS}/{{sid}}/resume", 200, sid=RUNS.sid),
    Call("POST", f"{JOBS}/{{sid}}/cancel", 200, sid=RUNS.sid),
    Call("POST", f"{JOBS}/{{sid}}/cancel", 409, sid=RUNS.sid),
    Call("POST", PLANS, 201, json=A_PLAN),
    Call("POST", PLANS, 409, json=A_PLAN),
    Call("POST", PLANS, 201, json={**A_PLAN, "action": "revert", "replay": True}),
    Call("POST", PLANS, 400, json={**A_PLAN, "canary": [50, 10]}),
    Call("GET", f"{PLANS}/{{plan_id}}/journal", 200, sid="a plan"),
    Call("GET", f"{PLANS}/{{plan_id}}/journal", 200, {"After": "1"}, sid="a plan"),
    Call("GET", f"{PLANS}/{{plan_id}}/journal", 404, sid="none"),
    Call("GET", f"{PLANS}/{{plan_id}}/journal", 400, {"After": "x"}, sid="a plan"),
    Call("POST", f"{PLANS}/drafts", 200, {"To": "kore", "Select": "source=none"}),
    Call("POST", f"{PLANS}/drafts", 200, {"To": "twilio", "UrlPrefix": "http"}),
    Call("POST", f"{PLANS}/drafts", 400, {"To": "none such"}),
    Call("GET", PLANS, 200),
    Call("GET", PLANS, 400, {"PageSize": "0"}),
    Call("GET", f"{PLANS}/{{plan_id}}", 200, sid="a plan"),
    Call("GET", f"{PLANS}/{{plan_id}}", 404, sid="none"),
    Call("GET", TOTALS, 200, {"Since": "2024-01-01T00:00:00Z", "Until": "2025-01-01T00:00:00Z"}),
    Call("GET", TOTALS, 200),
    Call("GET", TOTALS, 400, {"Since": "yesterday"}),
    Call("GET", STORED_URLS, 200),
    Call("GET", STORED_URLS, 400, {"PageToken": "none such"}),
    Call("GET", COUNTERS, 200),
    Call("GET", COUNTERS, 200, {"By": "all", "Split": "destination", "Source": "kore"}),
    Call("GET", COUNTERS, 400, {"By": "second"}),
    Call("GET", "/portal/v1/response_storage", 200),
    Call("POST", TEST_EVENTS, 201, {"Url": HOOK, "Method": "GET"}),
    Call("POST", TEST_EVENTS, 400),
    Call("POST", REHEARSALS, 201),
    Call("POST", REHEARSALS, 201, {"Url": HOOK}),
    Call("POST", REHEARSALS, 400, {"Url": "nowhere"}),
    Call("GET", DEVICE, 200, sid=SIM_SID),
    Call("GET", DEVICE, 200, sid=NEW_SIM_SID),
    Call("GET", DEVICE, 200, sid=WIRELESS_SIM_SID),
    Call("GET", DEVICE, 200, sid=NEW_WIRELESS_SIM_SID),
    Call("GET", DEVICE, 404, sid="none"),
    Call("POST", f"{DEVICE}/sms", 201, {"Payload": "Hi"}, sid=SIM_SID),
    Call("POST", f"{DEVICE}/sms", 400, {"Payload": "Hi"}, sid=NEW_SIM_SID),
    Call("POST", f"{DEVICE}/ip", 201, {"Payload": "AAEC", "PayloadType": "binary"}, sid=SIM_SID),
    Call("POST", f"{DEVICE}/ip", 400, {"Payload": "?", "PayloadType": "binary"}, sid=SIM_SID),
    Call("POST", f"{DEVICE}/ip", 400, {"Payload": "Hi"}, sid=WIRELESS_SIM_SID),
    Call("POST", f"{DEVICE}/commands", 201, {"Payload": "Hi"}, sid=WIRELESS_SIM_SID),
    Call("POST", f"{DEVICE}/commands", 400, {"Payload": "Hi"}, sid=SIM_SID),
    Call("POST", f"{DEVICE}/commands", 404, {"Payload": "Hi"}, sid="none"),
    Call("GET", f"{DEVICE}/inbox", 200, sid=SIM_SID),
    Call("GET", f"{DEVICE}/inbox", 200, sid=WIRELESS_SIM_SID),
    Call("GET", f"{DEVICE}/inbox", 404, sid="none"),
    Call("POST", f"{DEVICE}/data", 200, {"Upload": "10"}, sid=SIM_SID),
    Call("POST", f"{DEVICE}/data", 200, {"Download": "10"}, sid=WIRELESS_SIM_SID),
    Call("POST", f"{DEVICE}/data", 400, sid=SIM_SID),
    Call("POST", f"{DEVICE}/attach", 200, sid=SIM_SID),
    Call("POST", f"{DEVICE}/attach", 200, sid=NEW_SIM_SID),
    Call("POST", f"{DEVICE}/attach", 400, sid=WIRELESS_SIM_SID),
    Call("POST", f"{DEVICE}/attach", 404, sid="none"),
    Call("POST", f"{DEVICE}/report", 200, sid=SIM_SID),
    Call("POST", f"{DEVICE}/report", 400, sid=NEW_SIM_SID),
    Call("POST", f"{DEVICE}/detach", 200, sid=SIM_SID),
    Call("POST", DOWNLOAD, 202, sid=ESIM_SID),
    Call("POST", DOWNLOAD, 409, sid=NEW_ESIM_SID),
    Call("POST", REGISTER, 201),
    Call("POST", REGISTER, 201, {"Iccid": "8901340852295524709", "Narrowband": "true"}),
    Call("POST", REGISTER, 400, {"Iccid": WIRELESS_ICCID}),
    Call("GET", SCENARIOS, 200),
    Call("GET", SCENARIOS, 200, {"Sim": SIM_SID}),
    Call("GET", SCENARIOS, 200, {"Sim": WIRELESS_SIM_SID}),
    Call("POST", SCENARIOS, 200, {"Scenario": "", "Sim": SIM_SID}),
    Call("POST", SCENARIOS, 400, {"Scenario": "none such"}),
    Call("GET", POLICY, 200),
    Call("GET", f"{POLICY}/outlook", 200),
    Call("GET", f"{POLICY}/outlook", 200, {"At": "2024-11-03"}),
    Call("GET", f"{POLICY}/outlook", 400, {"At": "soon"}),
    Call("GET", f"{POLICY}/urls", 200, {"Changing": "yes", "Url": "a", "PageSize": "1"}),
    Call("GET", f"{POLICY}/urls", 400, {"PageToken": "none such"}),
    Call("POST", CHECKS, 200, {"Url": "http://127.0.0.1:9000/path?foo=bar", "Source": "kore"}),
    Call("POST", CHECKS, 200, {"Url": "http://127.0.0.1:9000/path?foo=bar", "Method": "GET"}),
    Call("POST", CHECKS, 400, {"Url": "https://stranger.example/"}),
    Call("POST", f"{POLICY}/preview", 403, json={}),
    Call("POST", f"{POLICY}/holds", 403, {"UrlPrefix": HOOK}),
    Call("POST", f"{POLICY}/holds/release", 403, {"UrlPrefix": HOOK}),
    Call("GET", CHECKS, 200),
    Call("GET", CHECKS, 400, {"PageSize": "0"}),
    Call("PUT", POLICY, 403, json={}),
    Call("GET", KEYS, 200),
    Call("POST", KEYS, 201, {"Name": "CI"}),
    Call("POST", KEYS, 400, {"Name": "CI", "Role": "none such"}),
    Call("DELETE", f"{KEYS}/{{sid}}", 204, sid=OWN_KEY.sid),
    Call("DELETE", f"{KEYS}/{{sid}}", 404, sid=OWN_KEY.sid),
    Call("GET", STREAMS, 200),
    Call("GET", STREAMS, 200, {"Source": "kore", "PageSize": "1"}),
    Call("GET", STREAMS, 400, {"Source": "nobody"}),
    Call("GET", f"{STREAMS}/events", 200),
    Call("GET", f"{STREAMS}/events", 400, {"SimSid": "HS1"}),
    Call("GET", f"{STREAMS}/events/{{sid}}", 200, sid=AN_EVENT.sid),
    Call("GET", f"{STREAMS}/events/{{sid}}", 404, sid="EZ1"),
    Call("GET", f"{STREAMS}/events/{{sid}}/batches", 200, sid=AN_EVENT.sid),
    Call("GET", f"{STREAMS}/events/{{sid}}/batches", 404, sid="EZ1"),
    Call("GET", STREAM_DESTINATIONS, 200),
    Call("GET", STREAM_DESTINATIONS, 400, {"PageSize": "0"}),
    Call("POST", STREAM_DESTINATIONS, 201, {"Name": "a", "Type": "webhook", "Url": HOOK}),
    Call(
        "POST",
        STREAM_DESTINATIONS,
        201,
        {"Name": "b", "Type": "kinesis", "Arn": ARN, "RoleArn": "arn:aws:iam::1:role/a"},
    ),
    Call("POST", STREAM_DESTINATIONS, 400, {"Name": "a", "Type": "email"}),
    Call("GET", f"{STREAM_DESTINATIONS}/{{sid}}", 200, sid=A_SINK.sid),
    Call("GET", f"{STREAM_DESTINATIONS}/{{sid}}", 404, sid="DG" + "f" * 32),
    Call("POST", f"{STREAM_DESTINATIONS}/{{sid}}", 200, {"Name": "b"}, sid=A_SINK.sid),
    Call("POST", f"{STREAM_DESTINATIONS}/{{sid}}", 400, sid=A_SINK.sid),
    Call("POST", f"{STREAM_DESTINATIONS}/{{sid}}", 404, {"Name": "b"}, sid="DG" + "f" * 32),
    Call("POST", f"{STREAM_DESTINATIONS}/{{sid}}/test", 201, sid=A_SINK.sid),
    Call("POST", f"{STREAM_DESTINATIONS}/{{sid}}/test", 404, sid="DG" + "f" * 32),
    Call("DELETE", f"{STREAM_DESTINATIONS}/{{sid}}", 400, sid=A_SINK.sid),
    Call("DELETE", f"{STREAM_DESTINATIONS}/{{sid}}", 204, sid=AN_UNUSED_SINK.sid),
    Call("DELETE", f"{STREAM_DESTINATIONS}/{{sid}}", 404, sid=AN_UNUSED_SINK.sid),
    Call("GET", RULES, 200),
    Call("GET", RULES, 200, {"Destination": A_SINK.sid}),
    Call("GET", RULES, 400, {"PageSize": "0"}),
    Call("POST", RULES, 201, {"Name": "r", "Destination": A_SINK.sid, "EventType": ENDED}),
    Call("POST", RULES, 400, {"Name": "r", "Destination": A_SINK.sid, "EventType": "odd"}),
    Call("POST", RULES, 400, {"Name": "r", "Destination": "DG" + "f" * 32, "EventType": ENDED}),
    Call("GET", f"{RULES}/{{sid}}", 200, sid=A_RULE.sid),
    Call("GET", f"{RULES}/{{sid}}", 404, sid="DF" + "f" * 32),
    Call("POST", f"{RULES}/{{sid}}", 200, {"Enabled": "no"}, sid=A_RULE.sid),
    Call("POST", f"{RULES}/{{sid}}", 400, sid=A_RULE.sid),
    Call("POST", f"{RULES}/{{sid}}", 404, {"Enabled": "no"}, sid="DF" + "f" * 32),
    Call("DELETE", f"{RULES}/{{sid}}", 204, sid=A_RULE.sid),
    Call("DELETE", f"{RULES}/{{sid}}", 404, sid=A_RULE.sid),
    Call("GET", LINKS, 200),
    Call("POST", LINKS, 201, {"Callback": CALLBACK_SID, "Days": "2", "Note": "for Jo"}),
    Call("POST", LINKS, 400, {"Callback": CALLBACK_SID, "Days": "91"}),
    Call("POST", LINKS, 400, {"Callback": "CB" + "0" * 32}),
    Call("DELETE", f"{LINKS}/{{sid}}", 204, sid=A_LINK.sid),
    Call("DELETE", f"{LINKS}/{{sid}}", 404, sid=A_LINK.sid),
    Call("GET", LINKS, 200, {"PageSize": "1"}),
    Call("GET", ACCOUNTS, 200),
    Call("GET", OWN, 200, sid=ACCOUNT_SID),
    Call("GET", OWN, 404, sid="AC" + "0" * 32),
    Call("POST", f"{OWN}/suspend", 403, sid=ACCOUNT_SID),
    Call("POST", f"{OWN}/auth_token/promote", 404, sid=ACCOUNT_SID),
    Call("POST", f"{OWN}/auth_token/secondary", 201, sid=ACCOUNT_SID),
    Call("GET", OWN, 200, sid=ACCOUNT_SID),
    Call("DELETE", f"{OWN}/auth_token/secondary", 204, sid=ACCOUNT_SID),
    Call("DELETE", f"{OWN}/auth_token/secondary", 404, sid=ACCOUNT_SID),
    Call("GET", AUDIT, 200),
    Call("GET", AUDIT, 400, {"Since": "yesterday"}),
    Call("GET", AUTHOR, 200, sid=CALLBACK_SID),
    Call("GET", AUTHOR, 404, sid="none"),
    Call("GET", CLOCK, 200),
    Call("POST", CLOCK, 200, {"Advance": "1.5s"}),
    Call("POST", CLOCK, 400, {"Advance": "0"}),
)


# Only the operator may do this. The later calls change the version that the first one makes.
PHASE: Final = {"name": "all", "since": None, "default": "kore", "may_ask": ["kore"]}
HOLD: Final = {"phase": "all", "account_sid": ACCOUNT_SID, "until": "2027-06-01T00:00:00Z"}
CHANGED: Final = {"version": 0, "phases": [PHASE], "holds": [HOLD]}
CALLS_OF_OPERATOR: Final = (
    Call("POST", f"{POLICY}/preview", 200, json=CHANGED),
    Call("POST", f"{POLICY}/preview", 409, json={**CHANGED, "version": 7}),
    Call("PUT", POLICY, 200, json=CHANGED),
    Call("POST", f"{POLICY}/holds", 200, {"UrlPrefix": HOOK, "Phase": "all", "DryRun": "yes"}),
    Call("POST", f"{POLICY}/holds", 200, {"UrlPrefix": HOOK, "Phase": "all", "Until": "none"}),
    Call("POST", f"{POLICY}/holds", 400, {"UrlPrefix": HOOK, "Phase": "none such"}),
    Call("POST", f"{POLICY}/holds/release", 409, {"UrlPrefix": HOOK, "Version": "1"}),
    Call("POST", f"{POLICY}/holds/release", 200, {"UrlPrefix": HOOK}),
    Call("PUT", POLICY, 400, json={"version": 1, "phases": [], "holds": []}),
    Call("PUT", POLICY, 409, json=CHANGED),
    Call("GET", POLICY, 200),
    Call("POST", RETENTION, 200, {"Answers": "7d", "Confirm": "yes"}),
    Call("POST", RETENTION, 400, {"Answers": "7"}),
    Call("POST", RETENTION, 409, {"Answers": "1h"}),
    Call("GET", RETENTION, 200),
    Call("POST", f"{DESTINATIONS}/pause", 200, {"Destination": "*", "Reason": "all"}),
    Call("GET", DESTINATIONS, 200, {"AccountSid": ACCOUNT_SID}),
    Call("GET", KEYS, 200),
    Call("POST", KEYS, 201, {"Name": "dashboard", "Role": "read_only"}),
    Call("GET", ACCOUNTS, 200),
    Call("POST", f"{OWN}/suspend", 200, sid=ACCOUNT_SID),
    Call("POST", f"{OWN}/resume", 200, sid=ACCOUNT_SID),
    Call("POST", f"{OWN}/auth_token/secondary", 201, sid=ACCOUNT_SID),
    Call("POST", f"{OWN}/auth_token/promote", 200, sid=ACCOUNT_SID),
    Call("DELETE", f"{KEYS}/{{sid}}", 204, sid=OPERATORS.sid),
    Call("GET", AUDIT, 200),
)


@pytest.fixture
async def app(callback_queue: RecordingQueue) -> ASGIApp:
    store, clock = MemoryStore(), VirtualClock.stopped(at=NOW)
    await store.transact(fill_with_plenty)
    await store.transact(_have_secret_to_rehearse)
    for key in (OPERATORS, OWN_KEY):
        await store.transact(lambda tx, key=key: tx.accounts.keys.add(key))
    await store.transact(lambda tx: add_stream(tx, a_sink(), a_subscription()))
    await store.transact(lambda tx: tx.jobs.add(RUNS))
    await store.transact(lambda tx: tx.shared_links.add(A_LINK))
    await store.transact(_add_stream)
    policy = Policy(NOTICE.phases, (PhaseHold("before", ACCOUNT_SID, until=NOW),))
    active = ActivePolicy(policy)
    monitor = monitor_of(store, active, clock, before=(MOST_AHEAD,))
    async with running(monitor):
        await counted(monitor, NOW)

    def beside(dependencies: ApiDependencies) -> list[ApiOperation]:
        clocks = ClockEndpoints(dependencies, ClockAdvancer(clock, ()))
        policies = PolicyEndpoints(dependencies, monitor, stored_in(store, active, clock))
        outlook = PolicyOutlookEndpoints(dependencies, monitor)
        checks = ReceiverCheckEndpoints(dependencies, found_ready, lambda _: None)
        stored = stored_in(store, active, clock)
        changes = PolicyChangeEndpoints(dependencies, monitor, stored, as_text)
        plans = PlanViewEndpoints(dependencies, PlanDesk(store, clock, SeededRandomness(), monitor))
        groups = clocks, policies, outlook, checks, changes, plans
        return [one for group in groups for one in group.operations()]

    return app_on(store, clock=clock, callback_queue=callback_queue, portal=beside)


@pytest.fixture
def caller(app: ASGIApp) -> Caller:
    return Caller(app, credentials=(ACCOUNT_SID, AUTH_TOKEN))


@pytest.fixture
def operator(app: ASGIApp) -> Caller:
    return Caller(app, credentials=(OPERATORS.sid, "operator's"))


def _add_stream(tx: Transaction) -> None:
    """Add two destinations of KORE's events, a rule of one, and an event in a batch of the rule."""
    add_stream(tx, A_SINK, A_RULE)
    tx.streams.sinks.add(AN_UNUSED_SINK)
    tx.streams.events.add(AN_EVENT, [A_RULE.sid])
    add_batch(tx, A_SINK, A_RULE)


def _have_secret_to_rehearse(tx: Transaction) -> None:
    account = tx.accounts.get(ACCOUNT_SID)
    assert account is not None
    secrets = account.webhook_secrets.with_new(a_secret("pending", name="second"))
    tx.accounts.save(replace(account, webhook_secrets=secrets))


@pytest.fixture
async def document(caller: Caller) -> Document:
    return (await caller.get("/openapi.json")).json


async def test_each_answer_is_as_in_the_document(
    caller: Caller, operator: Caller, document: Document
) -> None:
    pairs = [(caller, call) for call in CALLS] + [(operator, call) for call in CALLS_OF_OPERATOR]
    for by, call in pairs:
        answer = await make(by, call)
        assert answer.status == call.status, (call, answer.body)
        check(document, call, answer)


async def test_a_changed_policy_is_valid_by_the_document(document: Document) -> None:
    schema = document["components"]["schemas"]["new_policy"]
    validate(document, CHANGED, schema)
    with pytest.raises(jsonschema_rs.ValidationError):
        validate(document, {**CHANGED, "phases": []}, schema)


def test_each_operation_is_called(document: Document) -> None:
    calls = (*CALLS, *CALLS_OF_OPERATOR)
    succeeding = {(call.verb, call.path) for call in calls if call.status < 300}
    assert succeeding == operations_in(document, "/portal/")


async def test_too_many_callbacks_are_answered_as_in_the_document(
    caller: Caller, document: Document, callback_queue: RecordingQueue
) -> None:
    callback_queue.room = 0
    for call in (
        Call("POST", LIST, 429, json=NEW),
        Call("POST", TEST_EVENTS, 429, {"Url": HOOK}),
        Call("POST", REHEARSALS, 429, {"Url": HOOK}),
        Call("POST", f"{ONE}/replay", 429, sid=CALLBACK_SID),
        Call("POST", "/portal/v1/replays", 429, {"Sids": CALLBACK_SID}),
    ):
        answer = await make(caller, call)
        assert answer.status == 429
        check(document, call, answer)


async def test_accepted_requests_are_valid_by_the_document(document: Document) -> None:
    taken = document["paths"][LIST]["post"]["requestBody"]["content"]["application/json"]
    assert taken["schema"] == {"$ref": "#/components/schemas/new_callbacks"}
