"""Every route that changes something leaves one audit entry, and a read-only key can use none.

The table has a valid request for each route; a route that it lacks fails the test.
"""

import copy
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

import pytest
from starlette.routing import Route

from ringback.api.all_routes import (
    all_routes,
    event_stream_operations,
    portal_operations,
    supersim_operations,
    wireless_operations,
)
from ringback.api.app import create_app
from ringback.api.authentication import READING
from ringback.api.http.request_head import RequestHead, parse_head
from ringback.api.operation_definition import ApiOperation
from ringback.api.portal.clock import ClockEndpoints
from ringback.api.portal.create_callbacks import CreateCallbacksEndpoints
from ringback.api.portal.pause import PauseEndpoints
from ringback.api.portal.plan_views import PlanViewEndpoints
from ringback.api.portal.policy import PolicyEndpoints
from ringback.api.portal.policy_changes import PolicyChangeEndpoints
from ringback.api.portal.receiver_checks import ReceiverCheckEndpoints
from ringback.application.plan_desk import PlanDesk
from ringback.core.accounts.account import AccountStatus, ApiKeyRole
from ringback.core.audit import ActorKind, AuditEntry
from ringback.core.calendar import iso
from ringback.core.destinations.effective_settings import SettingsOwner
from ringback.core.job import pause
from ringback.core.policy.source_policy import NOTICE, PhaseHold, Policy
from ringback.core.sids import SidKind
from ringback.core.sims.mobile_networks import NETWORKS
from ringback.engine.clock_advancer import ClockAdvancer
from ringback.engine.pause_control import PauseControl
from ringback.policy.active_policy import ActivePolicy
from ringback.ports import DestinationPause, SendingPause, StoredDestinationSettings, Transaction
from ringback.runtime.sending_gate import SendingGate
from ringback.runtime.virtual_clock import VirtualClock
from ringback.settings.policy_editor import as_text
from tests.fakes import (
    ACCOUNT_SID,
    AUTH_TOKEN,
    CALLBACK_SID,
    FLEET_SID,
    NOW,
    PROFILE_SID,
    SIM_SID,
    SeededRandomness,
    a_callback,
    a_secret,
    an_account,
    an_api_client,
    an_api_key,
)
from tests.memory_store import MemoryStore, MemoryTransaction
from tests.policy_monitors import monitor_of, stored_in, version_of
from tests.stores.records import job, shared_link
from tests.streams import STARTED, UPDATED, a_sink, a_subscription, add_stream
from tests.unit.api.caller import Answer, Caller, basic
from tests.unit.api.plenty import (
    ESIM_SID,
    FREE_PLAN_SID,
    FREE_SINK_SID,
    NETWORK_SID,
    NEW_SINK_SID,
    NEW_WIRELESS_SIM_SID,
    SINK_SID,
    SUBSCRIPTION_SID,
    TEST_ID,
    fill_with_plenty,
)
from tests.unit.api.world import dependencies_on, found_ready, refusal
from tests.unit.core.builders import a_session
from tests.wireless_fakes import COMMAND_SID, RATE_PLAN_SID, WIRELESS_SIM_SID

_WITH_AUTHOR: Final = re.compile("(?:CB|HC|HG|DC|HP|HS|DE)[0-9a-f]{32}")

PAGE: Final = Path(__file__).parents[3] / "docs" / "reference" / "audit.md"

FULL: Final = an_api_key("SK" + "1" * 32, ACCOUNT_SID, "full")
READER: Final = replace(
    an_api_key("SK" + "2" * 32, ACCOUNT_SID, "reader"), role=ApiKeyRole.READ_ONLY
)
OPERATOR: Final = an_api_key("SK" + "3" * 32, None, "operator")
OPERATORS_READER: Final = replace(
    an_api_key("SK" + "4" * 32, None, "operators reader"), role=ApiKeyRole.READ_ONLY
)
CLIENT: Final = an_api_client(secret="client's")
RUNS: Final = job(1, ACCOUNT_SID)
PAUSED: Final = pause(job(2, ACCOUNT_SID), NOW)
A_LINK: Final = replace(
    shared_link(1, ACCOUNT_SID), date_created=NOW, date_expires=NOW + timedelta(days=7)
)
SUSPENDED_SID: Final = "AC" + "5" * 32
PENDING: Final = a_secret("pending-value", name="next")

PAUSED_DESTINATION: Final = StoredDestinationSettings(
    sid="DT" + "0" * 32,
    owner=SettingsOwner.ACCOUNT,
    account_sid=ACCOUNT_SID,
    pattern="https://a.example:443",
    pause=DestinationPause(NOW),
    date_updated=NOW,
)

HOOK: Final = "http://user:hunter2@127.0.0.1:9000/path"
A_PREFIX: Final = "https://a.example/"
POLICY: Final = {
    "version": 0,
    "phases": [{"name": "all", "default": "kore", "may_ask": ["kore"]}],
    "holds": [{"phase": "all", "account_sid": ACCOUNT_SID}],
}
ANSWERS_OF: Final = {
    "SendCallback": "callbacks",
    "SendTestEvent": "callbacks",
    "TestDestination": "callbacks",
    "RehearseSecret": "callbacks",
    "CreateSmsCommand": "messages",
    "CreateIpCommand": "messages",
    "CreateCommand": "messages",
    "SendSmsFromDevice": "messages",
    "SendDatagramFromDevice": "messages",
    "SendCommandFromDevice": "messages",
    "CreateEsimProfile": "orders",
    "UpdateSim": "SIMs",
    "ExchangeToken": "tokens",
    "PreviewPolicy": "nothing",
    "DraftPlan": "nothing",
}
"""The operations that leave no entry: what they create or change has rows of its own."""


class Change(NamedTuple):
    """A request that changes something, and the action that its entry names."""

    action: str
    path: str = ""
    form: Mapping[str, str] = {}
    json: object = None
    account_sid: str | None = ACCOUNT_SID
    by_operator: bool = False


CALLBACK: Final = f"/portal/v1/callbacks/{CALLBACK_SID}"
DEVICE: Final = f"/portal/v1/devices/{SIM_SID}"
PROFILES: Final = "/supersim/v1/NetworkAccessProfiles"
OF_SIM: Final = {"Sim": SIM_SID, "Payload": "Hi"}

SINKS: Final = "/events/v1/Sinks"
SUBSCRIPTIONS: Final = "/events/v1/Subscriptions"
TYPES_OF_ONE: Final = f"{SUBSCRIPTIONS}/{SUBSCRIPTION_SID}/SubscribedEvents"

ACCOUNTS: Final = "/portal/v1/accounts"
DESTINATIONS: Final = "/portal/v1/destinations"
HERE: Final = {"Destination": "https://a.example"}
STREAM_DESTINATIONS: Final = "/portal/v1/streams/destinations"
RULES: Final = "/portal/v1/streams/rules"
A_SINK: Final = a_sink(501)
AN_UNUSED_SINK: Final = a_sink(502)
A_RULE: Final = a_subscription(501)

CHANGES: Final[dict[tuple[str, str], Change]] = {
    ("POST", "/portal/v1/callbacks"): Change(
        "SendCallback", json={"url": HOOK, "parameters": {"a": "1"}}
    ),
    ("POST", "/portal/v1/callbacks/{sid}/replay"): Change("ReplayCallback", f"{CALLBACK}/replay"),
    ("POST", "/portal/v1/callbacks/{sid}/discard"): Change(
        "DiscardCallback", f"{CALLBACK}/discard", {"Reason": "why"}
    ),
    ("POST", "/portal/v1/replays"): Change("ReplayCallbacks", form={"Sids": CALLBACK_SID}),
    ("POST", "/portal/v1/jobs"): Change(
        "CreateJob", form={"Kind": "replay", "Since": "2024-01-01T00:00:00Z"}
    ),
    **{
        ("POST", f"/portal/v1/jobs/{{sid}}/{verb}"): Change(
            f"{verb.capitalize()}Job", f"/portal/v1/jobs/{which.sid}/{verb}"
        )
        for verb, which in (("pause", RUNS), ("resume", PAUSED), ("cancel", RUNS))
    },
    ("POST", "/portal/v1/plans"): Change(
        "CarryOutPlan",
        json={"action": "apply", "plan": ['{"ringback_plan": {"form": 2, "id": "plan"}}']},
    ),
    ("POST", "/portal/v1/receiver_checks"): Change(
        "CheckReceiver", form={"Url": f"{HOOK}?foo=bar", "Source": "kore"}
    ),
    ("POST", "/portal/v1/pause"): Change("PauseServer", account_sid=None, by_operator=True),
    ("POST", "/portal/v1/resume"): Change("ResumeServer", account_sid=None, by_operator=True),
    ("POST", "/portal/v1/retention"): Change(
        "SetRetention", form={"Answers": "forever"}, account_sid=None, by_operator=True
    ),
    ("POST", DESTINATIONS): Change("SetDestination", form={**HERE, "Rate": "20"}),
    ("POST", f"{DESTINATIONS}/pause"): Change("PauseDestination", form=HERE),
    ("POST", f"{DESTINATIONS}/resume"): Change("ResumeDestination", form=HERE),
    ("POST", f"{DESTINATIONS}/test"): Change("TestDestination", form={"Destination": HOOK}),
    ("POST", "/portal/v1/test_events"): Change("SendTestEvent", form={"Url": HOOK}),
    ("POST", "/portal/v1/rehearsals"): Change("RehearseSecret", form={"Url": HOOK}),
    ("POST", "/portal/v1/devices/{sim}/sms"): Change(
        "SendSmsFromDevice", f"{DEVICE}/sms", {"Payload": "Hi"}
    ),
    ("POST", "/portal/v1/devices/{sim}/ip"): Change(
        "SendDatagramFromDevice", f"{DEVICE}/ip", {"Payload": "Hi"}
    ),
    ("POST", "/portal/v1/devices/{sim}/commands"): Change(
        "SendCommandFromDevice",
        f"/portal/v1/devices/{WIRELESS_SIM_SID}/commands",
        {"Payload": "Hi"},
    ),
    ("POST", "/portal/v1/devices/{sim}/data"): Change("UseData", f"{DEVICE}/data", {"Upload": "1"}),
    ("POST", "/portal/v1/devices/{sim}/attach"): Change("AttachDevice", f"{DEVICE}/attach"),
    ("POST", "/portal/v1/devices/{sim}/detach"): Change("DetachDevice", f"{DEVICE}/detach"),
    ("POST", "/portal/v1/devices/{sim}/report"): Change("ReportDeviceUsage", f"{DEVICE}/report"),
    ("POST", "/portal/v1/esim_profiles/{sid}/download"): Change(
        "DownloadEsimProfile", f"/portal/v1/esim_profiles/{ESIM_SID}/download"
    ),
    ("POST", "/portal/v1/wireless_sims"): Change("RegisterWirelessSim"),
    ("POST", "/portal/v1/scenarios"): Change("ChooseScenario", form={"Scenario": "slow"}),
    ("POST", f"{ACCOUNTS}/{{sid}}/suspend"): Change(
        "SuspendAccount", f"{ACCOUNTS}/{ACCOUNT_SID}/suspend", by_operator=True
    ),
    ("POST", f"{ACCOUNTS}/{{sid}}/resume"): Change(
        "ResumeAccount", f"{ACCOUNTS}/{SUSPENDED_SID}/resume", {}, None, SUSPENDED_SID, True
    ),
    ("POST", f"{ACCOUNTS}/{{sid}}/auth_token/secondary"): Change(
        "CreateSecondaryToken", f"{ACCOUNTS}/{ACCOUNT_SID}/auth_token/secondary"
    ),
    ("DELETE", f"{ACCOUNTS}/{{sid}}/auth_token/secondary"): Change(
        "DeleteSecondaryToken", f"{ACCOUNTS}/{ACCOUNT_SID}/auth_token/secondary"
    ),
    ("POST", f"{ACCOUNTS}/{{sid}}/auth_token/promote"): Change(
        "PromoteSecondaryToken", f"{ACCOUNTS}/{ACCOUNT_SID}/auth_token/promote"
    ),
    ("POST", "/portal/v1/links"): Change("CreateLink", form={"Callback": CALLBACK_SID}),
    ("DELETE", "/portal/v1/links/{sid}"): Change("EndLink", f"/portal/v1/links/{A_LINK.sid}"),
    ("POST", STREAM_DESTINATIONS): Change(
        "CreateStreamDestination", form={"Name": "ours", "Type": "webhook", "Url": HOOK}
    ),
    ("POST", f"{STREAM_DESTINATIONS}/{{sid}}"): Change(
        "UpdateStreamDestination", f"{STREAM_DESTINATIONS}/{A_SINK.sid}", {"Name": "mine"}
    ),
    ("DELETE", f"{STREAM_DESTINATIONS}/{{sid}}"): Change(
        "DeleteStreamDestination", f"{STREAM_DESTINATIONS}/{AN_UNUSED_SINK.sid}"
    ),
    ("POST", f"{STREAM_DESTINATIONS}/{{sid}}/test"): Change(
        "TestStreamDestination", f"{STREAM_DESTINATIONS}/{A_SINK.sid}/test"
    ),
    ("POST", RULES): Change(
        "CreateStreamingRule",
        form={"Name": "ends", "Destination": A_SINK.sid, "EventType": "data-session.ended"},
    ),
    ("POST", f"{RULES}/{{sid}}"): Change(
        "UpdateStreamingRule", f"{RULES}/{A_RULE.sid}", {"Enabled": "no"}
    ),
    ("DELETE", f"{RULES}/{{sid}}"): Change("DeleteStreamingRule", f"{RULES}/{A_RULE.sid}"),
    ("POST", "/portal/v1/keys"): Change("CreateKey", form={"Name": "CI"}),
    ("DELETE", "/portal/v1/keys/{sid}"): Change("EndKey", f"/portal/v1/keys/{READER.sid}"),
    ("PUT", "/portal/v1/policy"): Change(
        "ReplacePolicy", json=POLICY, account_sid=None, by_operator=True
    ),
    ("POST", "/portal/v1/plans/drafts"): Change(
        "DraftPlan", form={"To": "kore", "Select": "url=x"}
    ),
    ("POST", "/portal/v1/policy/preview"): Change(
        "PreviewPolicy", json=POLICY, account_sid=None, by_operator=True
    ),
    ("POST", "/portal/v1/policy/holds"): Change(
        "HoldCallbacks",
        form={"UrlPrefix": A_PREFIX, "Phase": "before"},
        account_sid=None,
        by_operator=True,
    ),
    ("POST", "/portal/v1/policy/holds/release"): Change(
        "ReleaseCallbacks", form={"UrlPrefix": A_PREFIX}, account_sid=None, by_operator=True
    ),
    ("POST", "/portal/v1/clock"): Change("AdvanceClock", form={"Advance": "1s"}, account_sid=None),
    ("POST", "/supersim/v1/Sims"): Change(
        "CreateSim", form={"Iccid": "8988307999999999999", "RegistrationCode": "H3LL0W0RLD"}
    ),
    ("POST", "/supersim/v1/Sims/{sid}"): Change(
        "UpdateSim", f"/supersim/v1/Sims/{SIM_SID}", {"UniqueName": "x"}
    ),
    ("POST", "/supersim/v1/SmsCommands"): Change("CreateSmsCommand", form=OF_SIM),
    ("POST", "/supersim/v1/IpCommands"): Change(
        "CreateIpCommand", form={**OF_SIM, "DevicePort": "7"}
    ),
    ("POST", "/supersim/v1/ESimProfiles"): Change(
        "CreateEsimProfile", form={"GenerateMatchingId": "true"}
    ),
    ("POST", "/supersim/v1/Fleets"): Change(
        "CreateFleet", form={"NetworkAccessProfile": PROFILE_SID, "SmsCommandsUrl": HOOK}
    ),
    ("POST", "/supersim/v1/Fleets/{sid}"): Change(
        "UpdateFleet", f"/supersim/v1/Fleets/{FLEET_SID}", {"SmsCommandsUrl": HOOK}
    ),
    ("POST", PROFILES): Change("CreateNetworkAccessProfile", form={"UniqueName": "x"}),
    ("POST", f"{PROFILES}/{{sid}}"): Change(
        "UpdateNetworkAccessProfile", f"{PROFILES}/{PROFILE_SID}", {"UniqueName": "x"}
    ),
    ("POST", f"{PROFILES}/{{sid}}/Networks"): Change(
        "CreateNetworkAccessProfileNetwork",
        f"{PROFILES}/{PROFILE_SID}/Networks",
        {"Network": NETWORKS[-1].sid},
    ),
    ("DELETE", f"{PROFILES}/{{sid}}/Networks/{{network_sid}}"): Change(
        "DeleteNetworkAccessProfileNetwork", f"{PROFILES}/{PROFILE_SID}/Networks/{NETWORK_SID}"
    ),
    ("POST", "/wireless/v1/Sims/{sid}"): Change(
        "UpdateSim", f"/wireless/v1/Sims/{WIRELESS_SIM_SID}", {"FriendlyName": "x"}
    ),
    ("DELETE", "/wireless/v1/Sims/{sid}"): Change(
        "DeleteSim", f"/wireless/v1/Sims/{NEW_WIRELESS_SIM_SID}"
    ),
    ("POST", "/wireless/v1/Commands"): Change(
        "CreateCommand", form={"Sim": WIRELESS_SIM_SID, "Command": "Hi"}
    ),
    ("DELETE", "/wireless/v1/Commands/{sid}"): Change(
        "DeleteCommand", f"/wireless/v1/Commands/{COMMAND_SID}"
    ),
    ("POST", "/wireless/v1/RatePlans"): Change("CreateRatePlan", form={"UniqueName": "x"}),
    ("POST", "/wireless/v1/RatePlans/{sid}"): Change(
        "UpdateRatePlan", f"/wireless/v1/RatePlans/{RATE_PLAN_SID}", {"UniqueName": "x"}
    ),
    ("DELETE", "/wireless/v1/RatePlans/{sid}"): Change(
        "DeleteRatePlan", f"/wireless/v1/RatePlans/{FREE_PLAN_SID}"
    ),
    ("POST", SINKS): Change(
        "CreateSink",
        form={
            "Description": "x",
            "SinkType": "webhook",
            "SinkConfiguration": json.dumps({"destination": HOOK, "token": "hunter2"}),
        },
    ),
    ("POST", f"{SINKS}/{{sid}}"): Change("UpdateSink", f"{SINKS}/{SINK_SID}", {"Description": "x"}),
    ("DELETE", f"{SINKS}/{{sid}}"): Change("DeleteSink", f"{SINKS}/{FREE_SINK_SID}"),
    ("POST", f"{SINKS}/{{sid}}/Test"): Change("CreateSinkTest", f"{SINKS}/{SINK_SID}/Test"),
    ("POST", f"{SINKS}/{{sid}}/Validate"): Change(
        "CreateSinkValidate", f"{SINKS}/{NEW_SINK_SID}/Validate", {"TestId": TEST_ID}
    ),
    ("POST", SUBSCRIPTIONS): Change(
        "CreateSubscription",
        form={"Description": "x", "SinkSid": FREE_SINK_SID, "Types": json.dumps({"type": UPDATED})},
    ),
    ("POST", f"{SUBSCRIPTIONS}/{{sid}}"): Change(
        "UpdateSubscription", f"{SUBSCRIPTIONS}/{SUBSCRIPTION_SID}", {"Description": "x"}
    ),
    ("DELETE", f"{SUBSCRIPTIONS}/{{sid}}"): Change(
        "DeleteSubscription", f"{SUBSCRIPTIONS}/{SUBSCRIPTION_SID}"
    ),
    ("POST", f"{SUBSCRIPTIONS}/{{sid}}/SubscribedEvents"): Change(
        "CreateSubscribedEvent", TYPES_OF_ONE, {"Type": UPDATED}
    ),
    ("POST", f"{SUBSCRIPTIONS}/{{sid}}/SubscribedEvents/{{type}}"): Change(
        "UpdateSubscribedEvent", f"{TYPES_OF_ONE}/{STARTED}", {"SchemaVersion": "1"}
    ),
    ("DELETE", f"{SUBSCRIPTIONS}/{{sid}}/SubscribedEvents/{{type}}"): Change(
        "DeleteSubscribedEvent", f"{TYPES_OF_ONE}/{STARTED}"
    ),
    ("POST", "/api-services/v1/auth/token"): Change(
        "ExchangeToken",
        form={
            "grant_type": "client_credentials",
            "client_id": CLIENT.sid,
            "client_secret": "client's",
        },
    ),
    ("POST", "/webhook/v1/secrets"): Change("CreateSecret", json={"Name": "third"}),
    ("PATCH", "/webhook/v1/secrets/{id}"): Change(
        "UpdateSecret", f"/webhook/v1/secrets/{PENDING.id}", json={"Status": "active"}
    ),
    ("POST", "/client/v1/clients"): Change(
        "CreateClient", json={"name": "x", "locked": False, "scopes": {"products": ["SuperSIM"]}}
    ),
    ("POST", "/iam/v1/accounts"): Change("CreateAccount", json={"friendly_name": "x"}),
}
"""A valid request for each route that changes something, by its verb and path."""


class World:
    """A server with records of all kinds, in memory."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.store._tables = copy.deepcopy(_filled())
        clock = VirtualClock.stopped(at=NOW + timedelta(hours=1))
        self.dependencies = dependencies_on(self.store, clock=clock)
        self.active = active = ActivePolicy(NOTICE)
        monitor = monitor_of(self.store, active, clock)
        stored = stored_in(self.store, active, clock)
        desk = PlanDesk(self.store, clock, SeededRandomness(), monitor)
        pauses = PauseControl(self.store, SendingGate(), clock=clock)
        self.portal = [
            *ClockEndpoints(self.dependencies, ClockAdvancer(clock, ())).operations(),
            *PolicyEndpoints(self.dependencies, monitor, stored).operations(),
            *PolicyChangeEndpoints(self.dependencies, monitor, stored, as_text).operations(),
            *PlanViewEndpoints(self.dependencies, desk).operations(),
            *PauseEndpoints(self.dependencies, pauses).operations(),
            *ReceiverCheckEndpoints(self.dependencies, found_ready, lambda _: None).operations(),
        ]
        self.caller = Caller(create_app(self.dependencies, portal=self.portal), credentials=None)

    async def ask(self, key: tuple[str, str], pair: tuple[str, str]) -> Answer:
        """Send the request of a route that changes something."""
        verb, path = key
        change = CHANGES[key]
        kind, body = "application/x-www-form-urlencoded", urlencode(change.form).encode()
        if change.json is not None:
            kind, body = "application/json", json.dumps(change.json).encode()
        headers = {"authorization": basic(*pair), "content-type": kind}
        if not change.by_operator and pair[0] in (OPERATOR.sid, OPERATORS_READER.sid):
            headers["ringback-account"] = ACCOUNT_SID
        return await self.caller.call(verb, change.path or path, body, headers=headers)

    def prepare(self, key: tuple[str, str]) -> None:
        """Store what the request of this route ends or promotes."""
        if CHANGES[key].action == "ResumeServer":
            self.store.commit(lambda tx: tx.pause.begin(SendingPause(NOW, "why")))
        if CHANGES[key].action == "ReleaseCallbacks":
            held = Policy(NOTICE.phases, (PhaseHold("before", url_prefix=A_PREFIX),))
            self.active.activate(version_of(held))
            self.store.commit(lambda tx: tx.policies.add(version_of(held)))
        if CHANGES[key].action == "ResumeDestination":
            self.store.commit(lambda tx: tx.destinations.save(PAUSED_DESTINATION))
        if CHANGES[key].action in ("DeleteSecondaryToken", "PromoteSecondaryToken"):
            account = self.store.tables.accounts.accounts[ACCOUNT_SID]
            second = replace(account, secondary_auth_token="the-second-token")
            self.store.commit(lambda tx: tx.accounts.save(second))

    @property
    def entries(self) -> list[AuditEntry]:
        return [*self.store.tables.audit.entries.values()]


@cache
def _filled() -> MemoryTransaction:
    store = MemoryStore()
    store.commit(_fill)
    return store.tables


def _fill(tx: Transaction) -> None:
    fill_with_plenty(tx)
    for key in (FULL, READER, OPERATOR, OPERATORS_READER):
        tx.accounts.keys.add(key)
    tx.api_clients.add(CLIENT)
    for one in (RUNS, PAUSED):
        tx.jobs.add(one)
    account = tx.accounts.get(ACCOUNT_SID)
    assert account is not None
    tx.accounts.save(replace(account, webhook_secrets=account.webhook_secrets.with_new(PENDING)))
    suspended = replace(an_account(sid=SUSPENDED_SID), status=AccountStatus.SUSPENDED)
    tx.accounts.add(suspended, [])
    tx.shared_links.add(A_LINK)
    add_stream(tx, A_SINK, A_RULE)
    tx.streams.sinks.add(AN_UNUSED_SINK)
    tx.supersim.sessions.add(a_session())


@pytest.fixture
def world() -> World:
    return World()


def operations_of(world: World) -> list[ApiOperation]:
    made = (*(portal_operations, supersim_operations, wireless_operations), event_stream_operations)
    return [*world.portal, *(one for make in made for one in make(world.dependencies))]


def test_the_table_has_each_route_that_changes_something(world: World) -> None:
    routes = [
        (verb, route.path)
        for route in all_routes(world.dependencies, world.portal)
        if isinstance(route, Route)
        for verb in route.methods or ()
        if verb not in READING
    ]
    assert set(routes) == set(CHANGES)
    names = {(one.verb, one.path): one.name for one in operations_of(world)}
    for key, change in CHANGES.items():
        assert names.get(key, change.action) == change.action


def test_the_page_names_the_operations_that_leave_no_entry_and_those_that_do() -> None:
    page = PAGE.read_text()
    without = page.partition("## What leaves no entry")[2].partition("\n## ")[0]
    for change in CHANGES.values():
        assert (f"`{change.action}`" in without) is (change.action in ANSWERS_OF), change.action


@pytest.mark.parametrize("key", CHANGES, ids=" ".join)
async def test_a_change_leaves_one_entry_that_names_its_author(
    world: World, key: tuple[str, str]
) -> None:
    change = CHANGES[key]
    pair = (OPERATOR.sid, "operator") if change.by_operator else (FULL.sid, "full")
    world.prepare(key)
    answer = await world.ask(key, pair)
    assert answer.status in (200, 201, 202, 204), answer.body
    if change.action in ANSWERS_OF:
        assert world.entries == []
        await check_authors(world, change, answer)
        return
    (entry,) = world.entries
    kind = ActorKind.OPERATOR_KEY if change.by_operator else ActorKind.API_KEY
    assert (entry.action, entry.account_sid) == (change.action, change.account_sid)
    assert (entry.actor_kind, entry.actor, entry.actor_name) == (kind, pair[0], "first")
    assert entry.address == "127.0.0.1"
    assert entry.before != entry.after or change.action == "DownloadEsimProfile"


async def check_authors(world: World, change: Change, answer: Answer) -> None:
    """Check that the rows which a request has created or changed say when, and by which key."""
    is_update = change.action == "UpdateSim"
    sids = [
        sid
        for sid in set(_WITH_AUTHOR.findall(answer.body.decode()))
        # Messages name their SIMs.
        if sid.startswith((SidKind.SIM, SidKind.WIRELESS_SIM)) is is_update
    ]
    assert bool(sids) is (ANSWERS_OF[change.action] not in ("tokens", "nothing"))
    for sid in sids:
        author = (await author_of(world, sid, (FULL.sid, "full"))).json
        assert author.pop("action").startswith("Update" if is_update else "Create")
        assert author == {
            "date_created": iso(NOW + timedelta(hours=1)),
            "account_sid": ACCOUNT_SID,
            "actor_kind": "api_key",
            "actor": FULL.sid,
            "actor_name": "first",
            "subject": sid,
        }


async def author_of(world: World, sid: str, pair: tuple[str, str]) -> Answer:
    headers = {"authorization": basic(*pair)}
    return await world.caller.call("GET", f"/portal/v1/authors/{sid}", headers=headers)


@pytest.mark.parametrize(
    ("pair", "expected"),
    [
        ((ACCOUNT_SID, AUTH_TOKEN), ("auth_token", ACCOUNT_SID, "Test")),
        ((OPERATOR.sid, "operator"), ("operator_key", None, None)),
    ],
)
async def test_the_author_may_have_other_credentials(
    world: World, pair: tuple[str, str], expected: tuple[str | None, ...]
) -> None:
    made = await world.ask(("POST", "/supersim/v1/SmsCommands"), pair)
    by_account = (await author_of(world, made.json["sid"], (FULL.sid, "full"))).json
    assert (by_account["actor_kind"], by_account["actor"], by_account["actor_name"]) == expected
    by_operator = (await author_of(world, made.json["sid"], (OPERATOR.sid, "operator"))).json
    assert by_operator["actor"] == pair[0]


async def test_what_no_request_has_made_has_the_server_as_its_author(world: World) -> None:
    author = (await author_of(world, CALLBACK_SID, (FULL.sid, "full"))).json
    assert (author["actor_kind"], author["actor"]) == ("server", None)


@pytest.mark.parametrize(
    ("sid", "message"),
    [
        (SIM_SID, "no request has updated the SIM"),
        (FLEET_SID, "there is no callback, message, eSIM Profile or SIM with the SID"),
        (f"CB{'f' * 32}", "there is no callback, message, eSIM Profile or SIM with the SID"),
    ],
)
async def test_what_has_no_author_is_not_found(world: World, sid: str, message: str) -> None:
    answer = await author_of(world, sid, (FULL.sid, "full"))
    assert answer.status == 404
    assert message in answer.json["message"]


@pytest.mark.parametrize("key", CHANGES, ids=" ".join)
async def test_a_key_that_can_only_read_is_refused_and_changes_nothing(
    world: World, key: tuple[str, str]
) -> None:
    if CHANGES[key].action == "ExchangeToken":  # not used with a key
        return
    world.prepare(key)
    before = copy.deepcopy(world.store.tables)
    for pair in ((READER.sid, "reader"), (OPERATORS_READER.sid, "operators reader")):
        answer = await world.ask(key, pair)
        assert refusal(answer)[:1] == (403,), answer.body
        assert "this API key can only read" in answer.json["message"]
    assert vars(world.store.tables) == vars(before)


async def test_a_key_that_can_only_read_reads(world: World) -> None:
    for verb in ("GET", "HEAD"):
        headers = {"authorization": basic(READER.sid, "reader")}
        assert (await world.caller.call(verb, "/supersim/v1/Fleets", headers=headers)).status == 200


async def test_a_key_that_can_only_read_is_not_answered_directly(world: World) -> None:
    """Requests to create callbacks have a way of their own, without the application."""
    direct = CreateCallbacksEndpoints(world.dependencies).send_directly
    for pair, is_direct in (((FULL.sid, "full"), True), ((READER.sid, "reader"), False)):
        authorization = basic(*pair)
        await world.dependencies.authenticator.caller_of(authorization)
        head = _head_with(authorization)
        assert (direct(head) is not None) is is_direct


def _head_with(authorization: str) -> RequestHead:
    text = f"POST /portal/v1/callbacks HTTP/1.1\r\nAuthorization: {authorization}\r\n"
    return parse_head(f"{text}Host: a\r\nContent-Type: application/json\r\n\r\n".encode())


async def test_no_entry_has_a_secret() -> None:
    found = 0
    for key, change in CHANGES.items():
        world, secrets = World(), {AUTH_TOKEN, "hunter2", "pending-value", "client's"}
        pair = (OPERATOR.sid, "operator") if change.by_operator else (FULL.sid, "full")
        world.prepare(key)
        answer = await world.ask(key, pair)
        secrets |= {"the-second-token"} | set(_secrets_in(json.loads(answer.body or b"null")))
        tables = world.store.tables
        secrets |= {one.auth_token for one in tables.accounts.all()}
        secrets |= {one.token_hash for one in tables.shared_links.records.values()}
        secrets |= {one.secret_hash for one in tables.accounts.keys.records.values()}
        secrets |= {one.secret_hash for one in tables.api_clients.records.values()}
        for account in tables.accounts.all():
            secrets |= {secret.value for _, secret in account.webhook_secrets.all}
        shown = repr(world.entries)
        assert [one for one in secrets if one and one in shown] == [], change.action
        found += len(secrets)
    assert found > 10 * len(CHANGES)


def _secrets_in(answer: Any) -> list[str]:
    fields: dict[str, Any] = answer if isinstance(answer, dict) else {}
    names = ("secret", "client_secret", "access_token", "token", "secondary_auth_token")
    return [fields[name] for name in names if name in fields]


# ---- replays in bulk -----------------------------------------------------------------------------


async def add_callbacks(world: World, count: int) -> None:
    for number in range(count):
        one = a_callback(sid=f"CB{number:032x}", account_sid=ACCOUNT_SID)
        await world.store.transact(lambda tx, one=one: tx.callbacks.add(one))


async def test_a_replay_of_many_leaves_an_entry_with_what_was_asked_for_and_the_totals(
    world: World,
) -> None:
    await add_callbacks(world, 2)
    form = {"Since": "2024-01-01T00:00:00Z", "Status": "scheduled"}
    caller = Caller(
        create_app(world.dependencies, portal=world.portal), credentials=(FULL.sid, "full")
    )
    answer = await caller.post("/portal/v1/replays", {**form, "DryRun": "yes"})
    assert (answer.status, world.entries) == (200, [])
    done = (await caller.post("/portal/v1/replays", form)).json
    (entry,) = world.entries
    assert entry.after is not None
    assert entry.after["since"] == "2024-01-01T00:00:00Z"
    assert entry.after["statuses"] == ["scheduled"]
    assert entry.after["as_other_source"] is False
    assert (entry.after["matched"], entry.after["replayed"]) == (done["matched"], done["replayed"])
    assert done["matched"] > 0


async def test_a_replay_in_several_chunks_leaves_an_entry_before_and_one_after(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ringback.api.portal.replays.CHUNK", 2)
    await add_callbacks(world, 5)
    caller = Caller(create_app(world.dependencies), credentials=(FULL.sid, "full"))
    form = {"Since": "2024-01-01T00:00:00Z", "Status": "scheduled"}
    matched = (await caller.post("/portal/v1/replays", form)).json["matched"]
    assert matched > 4
    told = [entry.after and entry.after["matched"] for entry in world.entries]
    assert told == [2, matched]
