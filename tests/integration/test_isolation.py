"""No route lets one account see, change or give away another account's data.

The same calls are made to two servers: one has the other account, and one never had it. Both must
give an intruder the same answers, so that not even a difference reveals what exists.
"""

import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

import pytest
from starlette.routing import Route

from ringback.api.all_routes import all_routes
from ringback.api.app import create_app
from ringback.api.dependencies import ApiDependencies
from ringback.api.operation_definition import ApiOperation
from ringback.api.portal.callbacks import CALLBACKS
from ringback.api.portal.plan_views import PlanViewEndpoints
from ringback.api.portal.policy_changes import PolicyChangeEndpoints
from ringback.api.portal.policy_outlook import PolicyOutlookEndpoints
from ringback.api.portal.receiver_checks import ReceiverCheckEndpoints
from ringback.application.plan_desk import PlanDesk
from ringback.core.accounts.account import Account
from ringback.core.accounts.client_credentials import ClientCredentials
from ringback.core.callback_counts import CallbackCounts, CountedMinute, CountSpan
from ringback.core.callback_urls.callback_target import CallbackTarget
from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.callbacks.retry import GiveUp
from ringback.core.destinations.destination_settings import DestinationValues
from ringback.core.destinations.destination_state import DestinationState
from ringback.core.destinations.effective_settings import SettingsOwner
from ringback.core.http.http_exchange import AttemptResult, ReceiverResponseRecord
from ringback.core.http.outcome import DeliveredOutcome
from ringback.core.job import JobKind
from ringback.core.kore_ids import ULID_BYTES, KoreIdKind, make_kore_id
from ringback.core.policy.source_policy import NOTICE, Source
from ringback.core.retention import TimeSubject
from ringback.core.sids import SidKind
from ringback.core.sims.mobile_networks import NETWORKS
from ringback.core.streams.sink import StreamSink, StreamSubscription
from ringback.core.supersim.sim import SimStatus
from ringback.core.wireless.sim import WirelessStatus
from ringback.policy.active_policy import ActivePolicy
from ringback.ports import (
    AuditFilter,
    CallbackFilter,
    DestinationPause,
    Lane,
    PageWindow,
    ShadowCallbackFilter,
    StoredDestinationSettings,
    StreamEventFilter,
    Transaction,
)
from ringback.ports.callbacks import lane_of
from ringback.settings.policy_editor import as_text
from ringback.stores.sqlite.store import SqliteStore
from tests.fakes import (
    NOW,
    VAULT,
    SeededRandomness,
    a_secret,
    an_account,
    an_api_client,
    an_api_key,
    an_audit_entry,
    claim_from,
)
from tests.policy_monitors import monitor_of, running, stored_in, until
from tests.stores import records
from tests.stores.asking import ended, rendered
from tests.stores.records import OURS, THEIRS
from tests.streams import ENDED, STARTED, a_sink, a_subscription, add_batch, add_stream, an_event_of
from tests.unit.api.caller import Answer, Caller, basic
from tests.unit.api.world import dependencies_on, found_ready

OPERATOR: Final = an_api_key(sid="SK" + "0" * 32, account_sid=None, secret="the operator's")
WHOSE: Final = {OURS: "ours", THEIRS: "theirs"}
NUMBERS: Final = {OURS: 1001, THEIRS: 1002}
NUMBER: Final = NUMBERS[THEIRS]


def account(sid: str) -> Account:
    """Return an account with an active and a pending webhook secret."""
    whose = WHOSE[sid]
    made = an_account(
        sid=sid, name=whose, auth_token=f"{whose}-token", kore_secret=f"{whose}-secret"
    )
    pending = a_secret(f"{whose}-pending", name=f"{whose}-next", account_sid=sid)
    return replace(made, webhook_secrets=made.webhook_secrets.with_new(pending))


def client(sid: str) -> ClientCredentials:
    random_bytes = NUMBERS[sid].to_bytes(ULID_BYTES, "big")
    return an_api_client(
        sid=make_kore_id(KoreIdKind.API_CLIENT, NOW, random_bytes),
        account_sid=sid,
        name=f"{WHOSE[sid]}-client",
        secret=f"{WHOSE[sid]}-client-secret",
    )


def child(sid: str) -> Account:
    return an_account(
        sid=records.sid(SidKind.ACCOUNT, NUMBERS[sid]), name=f"{WHOSE[sid]}-child", parent_sid=sid
    )


def furnish(tx: Transaction, sid: str) -> None:
    """Add an account with one of everything."""
    number, whose = NUMBERS[sid], WHOSE[sid]
    key = an_api_key(records.sid(SidKind.API_KEY, number), sid, f"{whose}-key-secret")
    tx.accounts.add(account(sid), [key])
    tx.audit.add(an_audit_entry(account_sid=sid, subject=f"{whose}-subject"))
    tx.accounts.add(child(sid), [])
    tx.shared_links.add(records.shared_link(number, sid))
    tx.api_clients.add(client(sid))
    tx.supersim.access_profiles.add(
        replace(
            records.PROFILES[sid], unique_name=f"{whose}-profile", network_sids=(NETWORKS[0].sid,)
        )
    )
    url = CallbackUrl.parse(f"http://{whose}.example/sms")
    tx.supersim.fleets.add(
        replace(records.FLEETS[sid], unique_name=f"{whose}-fleet", sms_commands=CallbackTarget(url))
    )
    tx.supersim.sims.add(
        replace(
            records.SIMS[sid],
            unique_name=f"{whose}-sim",
            status=SimStatus.ACTIVE,
            fleet_sid=records.FLEETS[sid].sid,
        )
    )
    tx.supersim.sms_commands.add(records.sms_command(number, sid))
    tx.supersim.ip_commands.add(records.ip_command(number, sid))
    tx.supersim.esim_profiles.add(records.esim_profile(number, sid))
    tx.supersim.settings_updates.add(records.settings_update(number, sid))
    tx.supersim.billing_periods.add(records.billing_period(number, sid))
    tx.supersim.sessions.add(records.session(number, sid, began=NOW - records.SECOND * 3600))
    furnish_wireless(tx, sid)
    furnish_streams(tx, sid)
    furnish_callbacks(tx, sid)


def furnish_wireless(tx: Transaction, sid: str) -> None:
    number, whose = NUMBERS[sid], WHOSE[sid]
    tx.wireless.rate_plans.add(replace(records.RATE_PLANS[sid], unique_name=f"{whose}-plan"))
    tx.wireless.sims.add(
        replace(
            records.WIRELESS_SIMS[sid],
            unique_name=f"{whose}-meter",
            status=WirelessStatus.ACTIVE,
            rate_plan_sid=records.RATE_PLANS[sid].sid,
        )
    )
    tx.wireless.commands.add(records.command(number, sid))
    tx.wireless.command_uses.add(records.command_use(sid, at=NOW - records.SECOND * 3600))
    tx.wireless.sessions.add(
        records.wireless_session(number, sid, began=NOW - records.SECOND * 3600)
    )


def stream_of_kore(sid: str) -> tuple[StreamSink, StreamSubscription]:
    """Return an account's destination of KORE's events, and its rule."""
    number, url = NUMBERS[sid] + 500, f"http://{WHOSE[sid]}.example/events"
    return a_sink(number, account_sid=sid, url=url), a_subscription(number, account_sid=sid)


def furnish_streams(tx: Transaction, sid: str) -> None:
    """Add a stream of each source; that of kore has a batch, and an event that waits."""
    number, whose = NUMBERS[sid], WHOSE[sid]
    by_twilio = a_sink(number, Source.TWILIO, f"http://{whose}.example/events", account_sid=sid)
    subscription = a_subscription(number, Source.TWILIO, account_sid=sid, types={STARTED: 2})
    add_stream(
        tx,
        replace(by_twilio, description=f"{whose}-sink"),
        replace(subscription, description=f"{whose}-stream"),
    )
    sink, rule = stream_of_kore(sid)
    add_stream(tx, sink, rule)
    for event in (number, number + 1000):
        tx.streams.events.add(an_event_of(event, event, account_sid=sid), [rule.sid])
        if event == number:
            add_batch(tx, sink, rule, event % 256)


def furnish_callbacks(tx: Transaction, sid: str) -> None:
    """Add a callback whose only attempt was refused, with a long response."""
    host = f"http://{WHOSE[sid]}.example"
    added = records.callback(NUMBERS[sid], sid, url=f"{host}/hook", key=f"{sid}-key")
    tx.callbacks.add(added)
    (claim,) = claim_from(tx, lane_of(added), NOW, limit=1)
    long = ReceiverResponseRecord(503, (), f"busy with {host}".encode() * 999)
    settlement = ended(claim, GiveUp("made up"), response=long, request=rendered(claim))
    tx.callbacks.settle([settlement])
    counts = CallbackCounts(accepted=NUMBERS[sid])
    minute = CountSpan.HOUR.begin_of(NOW - records.SECOND * 3600)
    tx.counters.add([CountedMinute(minute, *lane_of(added), Source.TWILIO, counts)])
    furnish_destinations(tx, lane_of(added))
    tx.retention.set_times({TimeSubject(sid, "answers"): records.SECOND * 9000}, NOW)
    whose = {"statuses": ["failed"], "as_other_source": False, "destination": host}
    tx.jobs.add(replace(records.job(NUMBERS[sid], sid), parameters=whose))
    plan = f"{WHOSE[sid]}-plan-to-move"
    moves = replace(records.job(NUMBERS[sid] + 50, sid), kind=JobKind.MIGRATION, plan_id=plan)
    tx.jobs.add(replace(moves, parameters={"action": "apply"}))
    tx.plans.add(sid, plan, 1, [f"a line about {host}"])
    tx.receiver_checks.save(records.receiver_check(url=f"{host}/hook", account_sid=sid))
    copy = records.shadow(NUMBERS[sid], sid)
    tx.shadows.open([copy])
    tx.shadows.settle([copy.settled(AttemptResult(DeliveredOutcome(200)), None, started=NOW)])


def furnish_destinations(tx: Transaction, lane: Lane) -> None:
    """Set something for a destination, as the account and as the operator, and disable it."""
    number, whose = NUMBERS[lane.account_sid], WHOSE[lane.account_sid]
    for owner in SettingsOwner:
        tx.destinations.save(
            StoredDestinationSettings(
                sid=f"DT{number:016x}{'0' if owner is SettingsOwner.ACCOUNT else '1':>016}",
                owner=owner,
                account_sid=lane.account_sid,
                pattern=lane.destination,
                given=DestinationValues({"rate": 5.0}, headers=(("X-Whose", whose),)),
                pause=DestinationPause(NOW, reason=f"{whose}-reason"),
                date_updated=NOW,
            )
        )
    tx.destinations.save_state(lane, DestinationState(disabled=NOW, disabled_why=f"{whose}-why"))


def everything_of(tx: Transaction, sid: str) -> list[Any]:
    """Return everything that is stored for an account."""
    callbacks = tx.callbacks.page(sid, CallbackFilter(), PageWindow(99))
    tables: list[Any] = [
        *(tx.supersim.access_profiles, tx.supersim.fleets, tx.supersim.sims),
        *(tx.supersim.sms_commands, tx.supersim.ip_commands, tx.supersim.esim_profiles),
        *(tx.supersim.settings_updates, tx.supersim.billing_periods),
        *(tx.wireless.rate_plans, tx.wireless.sims, tx.wireless.commands, tx.jobs),
        *(tx.streams.sinks, tx.streams.subscriptions),
    ]
    return [
        *(tx.accounts.get(sid), tx.accounts.children_of(sid), tx.accounts.keys.of(sid)),
        tx.api_clients.of(sid),
        *(callbacks, [tx.callbacks.attempts(one.sid) for one in callbacks]),
        tx.shadows.page(sid, ShadowCallbackFilter(), PageWindow(99)),
        *(table.page(sid, {}, PageWindow(99)) for table in tables),
        tx.receiver_checks.newest(sid, limit=99),
        tx.supersim.sessions.of_sim(records.SIMS[sid].sid, since=NOW - records.SECOND * 9999),
        tx.wireless.sessions.of_sim(
            records.WIRELESS_SIMS[sid].sid, since=NOW - records.SECOND * 9999
        ),
        tx.shared_links.page(sid, {}, PageWindow(99)),
        [tx.scenarios.get(one) for one in (sid, records.SIMS[sid].sid)],
        tx.audit.page(sid, AuditFilter(), PageWindow(99)),
        [one for one in tx.destinations.changed_since(0) if one.account_sid == sid],
        [one for one in tx.destinations.states() if one[0].account_sid == sid],
        tx.streams.sinks.page(sid, {}, PageWindow(99)),
        tx.streams.subscriptions.page(sid, {}, PageWindow(99)),
        tx.streams.events.page(sid, StreamEventFilter(), PageWindow(99)),
        tx.streams.events.pending(stream_of_kore(sid)[1].sid, limit=99),
    ]


# ---- requests ------------------------------------------------------------------------------------

SIM, FLEET = records.SIMS[THEIRS].sid, records.FLEETS[THEIRS].sid
PROFILE, PLAN = records.PROFILES[THEIRS].sid, records.RATE_PLANS[THEIRS].sid
METER, CALLBACK = records.WIRELESS_SIMS[THEIRS].sid, records.callback(NUMBER).sid
SMS, DATAGRAM = records.sms_command(NUMBER).sid, records.ip_command(NUMBER).sid
ESIM, COMMAND = records.esim_profile(NUMBER).sid, records.command(NUMBER).sid
CLIENT, SECRETS = client(THEIRS).sid, [one.id for _, one in account(THEIRS).webhook_secrets.all]
NETWORK: Final = NETWORKS[0].sid
SINK, SUBSCRIPTION = f"DG{NUMBER:032x}", f"DF{NUMBER:032x}"
DESTINATION, RULE = (one.sid for one in stream_of_kore(THEIRS))
EVENT = an_event_of(NUMBER).sid

NAMES: Final[dict[str, list[str]]] = {
    "/portal/v1/callbacks/{sid}": [CALLBACK],
    "/portal/v1/authors/{sid}": [CALLBACK, SIM, METER, ESIM],
    "/portal/v1/jobs/{sid}": [records.job(NUMBER).sid],
    "/portal/v1/plans/{plan_id}": ["theirs-plan-to-move"],
    "/portal/v1/devices/{sim}": [SIM, METER, "theirs-sim", "theirs-meter"],
    "/portal/v1/esim_profiles/{sid}": [ESIM],
    "/portal/v1/accounts/{sid}": [THEIRS, account(THEIRS).kore_id, child(THEIRS).sid],
    "/portal/v1/streams/destinations/{sid}": [DESTINATION],
    "/portal/v1/streams/rules/{sid}": [RULE],
    "/portal/v1/streams/events/{sid}": [EVENT],
    "/portal/v1/links/{sid}": [records.shared_link(NUMBER).sid],
    "/portal/v1/keys/{sid}": [records.sid(SidKind.API_KEY, NUMBER), OPERATOR.sid],
    "/webhook/v1/secrets/{id}": SECRETS,
    "/client/v1/clients/{client_id}": [CLIENT],
    "/supersim/v1/Sims/{sid}": [SIM, "theirs-sim"],
    "/supersim/v1/SmsCommands/{sid}": [SMS],
    "/supersim/v1/IpCommands/{sid}": [DATAGRAM],
    "/supersim/v1/ESimProfiles/{sid}": [ESIM],
    "/supersim/v1/Fleets/{sid}": [FLEET, "theirs-fleet"],
    "/supersim/v1/NetworkAccessProfiles/{sid}": [PROFILE, "theirs-profile"],
    "/supersim/v1/NetworkAccessProfiles/{sid}/Networks/{network_sid}": [NETWORK],
    "/wireless/v1/Sims/{sid}": [METER, "theirs-meter"],
    "/wireless/v1/Commands/{sid}": [COMMAND],
    "/wireless/v1/RatePlans/{sid}": [PLAN, "theirs-plan"],
    "/events/v1/Sinks/{sid}": [SINK],
    "/events/v1/Subscriptions/{sid}": [SUBSCRIPTION],
    "/events/v1/Subscriptions/{sid}/SubscribedEvents/{type}": [STARTED],
}
"""The values for each parameter of a path, by the path up to it."""

QUERIES: Final = {
    "/portal/v1/destinations/one": "?Destination=http://ours.example&",
    "/portal/v1/jobs/preview": "?Kind=replay&Since=2024-01-01T00:00:00Z&Status=undelivered&",
    "/portal/v1/counters": "?Split=account&",
}
"""The beginnings of queries without which a path has no answer."""

NOBODYS: Final = {
    *("/openapi.json", "/wireless/openapi.json", "/docs", "/wireless/docs", "/docs/start.js"),
    *("/docs/{name}", "/client/v1/ping", "/api-services/v1/auth/token", "/fingerprint"),
    *("/supersim/v1/Networks", "/supersim/v1/Networks/{sid}", "/portal/v1/example_comparison"),
    *("/events/openapi.json", "/events/docs", "/event-schemas/{schema_id}/{schema_version}"),
    *("/events/v1/Types", "/events/v1/Types/{type}", "/events/v1/Schemas/{schema_id}"),
    "/events/v1/Schemas/{schema_id}/Versions",
    "/events/v1/Schemas/{schema_id}/Versions/{schema_version}",
}
"""Routes that show nothing of any account."""

A_URL: Final = "http://ours.example/new"
THERE: Final = "http://theirs.example"
FORMS: Final[dict[str, list[dict[str, str]]]] = {
    "/portal/v1/replays": [{"Sids": CALLBACK}, {"Since": "2024-01-01T00:00:00Z"}],
    "/portal/v1/jobs": [{"Kind": "replay", "Since": "2024-01-01T00:00:00Z"}],
    **{f"/portal/v1/jobs/{{sid}}/{verb}": [{}] for verb in ("pause", "resume", "cancel")},
    "/portal/v1/policy/holds": [{"AccountSid": THEIRS, "Phase": "before"}],
    "/portal/v1/policy/holds/release": [{"AccountSid": THEIRS}],
    "/portal/v1/receiver_checks": [{"Url": f"{THERE}/hook"}, {"Url": A_URL, "AccountSid": THEIRS}],
    "/portal/v1/plans/drafts": [{"To": "kore", "AccountSid": THEIRS}],
    "/portal/v1/retention": [{"Answers": "7d", "Confirm": "yes"}],
    "/portal/v1/destinations": [{"Destination": THERE, "Rate": "7", "Header": "X-Own: mine"}],
    "/portal/v1/destinations/pause": [{"Destination": THERE}, {"Destination": "*"}],
    "/portal/v1/destinations/resume": [{"Destination": THERE}, {"Destination": "*"}],
    "/portal/v1/destinations/test": [{"Destination": THERE}],
    "/portal/v1/callbacks/{sid}/replay": [{}, {"AsOtherSource": "true"}],
    "/portal/v1/callbacks/{sid}/discard": [{"Reason": "because"}],
    "/portal/v1/test_events": [{"Url": A_URL}],
    "/portal/v1/rehearsals": [{}, {"Url": A_URL}],
    "/portal/v1/devices/{sim}/sms": [{"Payload": "hello"}],
    "/portal/v1/devices/{sim}/ip": [{"Payload": "hello"}],
    "/portal/v1/devices/{sim}/commands": [{"Payload": "hello"}],
    "/portal/v1/devices/{sim}/data": [{"Upload": "1"}],
    "/portal/v1/devices/{sim}/attach": [{}],
    "/portal/v1/devices/{sim}/detach": [{}],
    "/portal/v1/devices/{sim}/report": [{}],
    "/portal/v1/wireless_sims": [{}],
    "/portal/v1/keys": [{"Name": "mine"}],
    "/portal/v1/streams/destinations": [{"Name": "mine", "Type": "webhook", "Url": THERE}],
    "/portal/v1/streams/destinations/{sid}": [{"Name": "mine"}, {"Url": A_URL}],
    "/portal/v1/streams/destinations/{sid}/test": [{}],
    "/portal/v1/streams/rules": [
        {"Name": "mine", "Destination": DESTINATION, "EventType": "data-session.ended"}
    ],
    "/portal/v1/streams/rules/{sid}": [
        {"Enabled": "no"},
        {"Destination": stream_of_kore(OURS)[0].sid},
    ],
    "/portal/v1/links": [
        {"Callback": CALLBACK},
        {"Destination": THERE},
        {"Destination": THERE, "AccountSid": THEIRS},
    ],
    **{
        f"/portal/v1/accounts/{{sid}}/{what}": [{}]
        for what in ("suspend", "resume", "auth_token/secondary", "auth_token/promote")
    },
    "/portal/v1/esim_profiles/{sid}/download": [{}],
    "/portal/v1/scenarios": [{"Scenario": "fast", "Sim": SIM}, {"Scenario": "", "Sim": METER}],
    "/supersim/v1/Sims": [{"Iccid": "8988307999999999999", "RegistrationCode": "H3LL0W0RLD"}],
    "/supersim/v1/Sims/{sid}": [
        {"Status": "inactive", "CallbackUrl": A_URL},
        {"Fleet": records.FLEETS[OURS].sid},
        {"UniqueName": "mine", "AccountSid": OURS},
    ],
    "/supersim/v1/SmsCommands": [{"Sim": sim, "Payload": "a"} for sim in (SIM, "theirs-sim")],
    "/supersim/v1/IpCommands": [
        {"Sim": sim, "Payload": "a", "DevicePort": "7"} for sim in (SIM, "theirs-sim")
    ],
    "/supersim/v1/ESimProfiles": [{}],
    "/supersim/v1/Fleets": [
        {"NetworkAccessProfile": PROFILE, "UniqueName": "theirs-fleet"},
        {"NetworkAccessProfile": "theirs-profile"},
    ],
    "/supersim/v1/Fleets/{sid}": [{"UniqueName": "mine"}, {"NetworkAccessProfile": PROFILE}],
    "/supersim/v1/NetworkAccessProfiles": [{"UniqueName": "theirs-profile"}],
    "/supersim/v1/NetworkAccessProfiles/{sid}": [{"UniqueName": "mine"}],
    "/supersim/v1/NetworkAccessProfiles/{sid}/Networks": [{"Network": NETWORK}],
    "/wireless/v1/Sims/{sid}": [
        {"Status": "suspended"},
        {"RatePlan": records.RATE_PLANS[OURS].sid},
        {"AccountSid": OURS},
    ],
    "/wireless/v1/Commands": [{"Sim": sim, "Command": "a"} for sim in (METER, "theirs-meter")],
    "/wireless/v1/RatePlans": [{"UniqueName": "theirs-plan"}],
    "/wireless/v1/RatePlans/{sid}": [{"UniqueName": "mine"}],
    "/events/v1/Sinks": [
        {
            "Description": "mine",
            "SinkType": "webhook",
            "SinkConfiguration": '{"destination": "http://theirs.example/events"}',
        }
    ],
    "/events/v1/Sinks/{sid}": [{"Description": "mine"}],
    "/events/v1/Sinks/{sid}/Test": [{}],
    "/events/v1/Sinks/{sid}/Validate": [{"TestId": "x"}],
    "/events/v1/Subscriptions": [
        {"Description": "mine", "SinkSid": SINK, "Types": f'{{"type": "{STARTED}"}}'}
    ],
    "/events/v1/Subscriptions/{sid}": [{"Description": "mine"}, {"SinkSid": SINK}],
    "/events/v1/Subscriptions/{sid}/SubscribedEvents": [{"Type": ENDED}],
    "/events/v1/Subscriptions/{sid}/SubscribedEvents/{type}": [{"SchemaVersion": "1"}],
}
"""The forms to send to each path; forms that create something refer to the other's records."""

DOCUMENTS: Final[dict[str, list[dict[str, Any]]]] = {
    "/portal/v1/policy/preview": [{"version": 0, "phases": [], "holds": []}],
    "/portal/v1/callbacks": [
        {"url": A_URL, "parameters": {"a": "1"}, "idempotency_key": f"{THEIRS}-key"}
    ],
    "/portal/v1/plans": [
        {"action": action, "plan": ['{"ringback_plan": {"form": 2, "id": "theirs-plan-to-move"}}']}
        for action in ("apply", "revert")
    ],
    "/webhook/v1/secrets": [{"Name": "mine"}],
    "/webhook/v1/secrets/{id}": [{"Name": "mine"}, {"Status": "active"}],
    "/client/v1/clients": [
        {
            "name": "mine",
            "account_id": theirs.kore_id,
            "locked": False,
            "scopes": {"products": ["SuperSIM"]},
        }
        for theirs in (account(THEIRS), child(THEIRS))
    ],
    "/iam/v1/accounts": [{"friendly_name": "mine", "account_id": account(THEIRS).kore_id}],
}
"""The same for paths with a JSON body."""

MINE_WITH_THEIRS: Final = {
    f"{CALLBACKS}/{{sid}}/comparison": (
        f"{CALLBACKS}/{records.callback(NUMBERS[OURS]).sid}/comparison?Other={CALLBACK}"
    ),
    "/portal/v1/destinations/one": "/portal/v1/destinations/one?Destination=http://theirs.example",
}
"""Requests about a record of the intruder, with the other's records in the query."""

BESIDE: Final = {
    "Sim": SIM,
    "Fleet": FLEET,
    "NetworkAccessProfile": PROFILE,
    "RatePlan": PLAN,
    "SimSid": SIM,
    "Iccid": records.SIMS[THEIRS].iccid,
    "SimIccid": records.SIMS[THEIRS].iccid,
    "AccountSid": THEIRS,
    "CallbackSid": CALLBACK,
    "account_id": account(THEIRS).kore_id,
    "IdempotencyToken": f"token {NUMBER}",
    "Destination": "http://theirs.example",
    "Subject": "theirs-subject",
    "SinkSid": SINK,
    "Stream": RULE,
}
"""Parameters that name records of the other account."""
TOKENS: Final = [
    *(SIM, METER, CALLBACK, SMS, DATAGRAM, ESIM, COMMAND, FLEET, PROFILE, PLAN),
    *(SINK, SUBSCRIPTION, DESTINATION, RULE, EVENT),
    records.shadow(NUMBER, THEIRS).sid,
]
"""The accounts whose page tokens are tried in every list."""


WRITING: Final = ("POST", "PATCH")


@dataclass(frozen=True)
class Ask:
    """One request."""

    verb: str
    path: str
    """The path with its parameters not filled in."""
    target: str
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    names_theirs: bool = True


def targets_of(path: str) -> list[str]:
    """Return a path with each of the names filled in; raises KeyError for an unknown parameter."""
    at = path.rfind("{")
    if at < 0:
        return [path]
    before, _, behind = path[at:].partition("}")
    place = f"{path[:at]}{before}}}"
    return [
        f"{start}{quote(name)}{behind}" for start in targets_of(path[:at]) for name in NAMES[place]
    ]


def asks_of(route: Route) -> Iterator[Ask]:
    for verb in sorted(route.methods or ()):
        for target in targets_of(route.path):
            asks = _writes if verb in WRITING else _reads
            yield from asks(verb, route.path, target)


def _reads(verb: str, path: str, target: str) -> Iterator[Ask]:
    paged = "page_number=1&page_size=50" if path.startswith(("/client", "/webhook")) else ""
    target = f"{target}{QUERIES.get(path, '?')}{paged}"
    yield Ask(verb, path, target, names_theirs="{" in path)
    yield Ask(verb, path, target, headers={"ringback-account": THEIRS}, names_theirs="{" in path)
    if path in MINE_WITH_THEIRS:
        yield Ask(verb, path, MINE_WITH_THEIRS[path])
    if "{" not in path and verb == "GET":
        for name, value in BESIDE.items():
            yield Ask(verb, path, f"{target}&{urlencode({name: value})}")
        for sid in TOKENS:
            yield Ask(verb, path, f"{target}&PageToken=PA{sid}")
            yield Ask(verb, path, f"{target}&PageToken=PB{sid}")


def _writes(verb: str, path: str, target: str) -> Iterator[Ask]:
    form = {"content-type": "application/x-www-form-urlencoded"}
    document = {"content-type": "application/json"}
    bodies = [(urlencode(each).encode(), form) for each in FORMS.get(path, [])]
    bodies += [(json.dumps(each).encode(), document) for each in DOCUMENTS.get(path, [])]
    assert bodies, f"add a form for {path}"
    for body, headers in bodies:
        yield Ask(verb, path, target, body, headers | {"ringback-account": THEIRS})


# ---- servers -------------------------------------------------------------------------------------


@dataclass
class Server:
    """A server, and the intruder's credentials for it."""

    store: SqliteStore
    caller: Caller
    routes: list[Route]
    credentials: list[str] = field(default_factory=list[str])

    async def ask(self, ask: Ask, authorization: str) -> Answer:
        headers = {**ask.headers, "authorization": authorization}
        return await self.caller.call(ask.verb, ask.target, ask.body, headers=headers)


async def beside(dependencies: ApiDependencies) -> list[ApiOperation]:
    """Return the operations that need more than the dependencies."""
    store, clock, active = dependencies.store, dependencies.clock, ActivePolicy(NOTICE)
    monitor, stored = monitor_of(store, active, clock), stored_in(store, active, clock)
    async with running(monitor):
        await until(lambda: monitor.dependents)
    desk = PlanDesk(store, clock, SeededRandomness(), monitor)
    groups = (
        PolicyChangeEndpoints(dependencies, monitor, stored, as_text),
        PolicyOutlookEndpoints(dependencies, monitor),
        ReceiverCheckEndpoints(dependencies, found_ready, lambda _: None),
        PlanViewEndpoints(dependencies, desk),
    )
    return [one for group in groups for one in group.operations()]


async def server(path: Path, *accounts: str) -> Server:
    """Return a server with these accounts, the first of which is the intruder's."""
    store = SqliteStore.open(path, VAULT)

    def fill(tx: Transaction) -> None:
        for sid in accounts:
            furnish(tx, sid)
        tx.accounts.keys.add(OPERATOR)

    await store.transact(fill)
    dependencies = dependencies_on(store)
    await dependencies.destinations.book.refresh(store)
    portal = await beside(dependencies)
    caller = Caller(create_app(dependencies, portal=portal), credentials=None)
    routes = [route for route in all_routes(dependencies, portal) if isinstance(route, Route)]
    signed_in = await caller.post(
        "/api-services/v1/auth/token",
        {
            "grant_type": "client_credentials",
            "client_id": client(OURS).sid,
            "client_secret": "ours-client-secret",
        },
        **{"content-type": "application/x-www-form-urlencoded"},
    )
    credentials = [
        basic(OURS, "ours-token"),
        basic(records.sid(SidKind.API_KEY, NUMBERS[OURS]), "ours-key-secret"),
        f"Bearer {signed_in.json['access_token']}",
    ]
    return Server(store, caller, routes, credentials)


@pytest.fixture
async def with_them(tmp_path: Path) -> AsyncIterator[Server]:
    made = await server(tmp_path / "with.db", OURS, THEIRS)
    yield made
    await made.store.close()


@pytest.fixture
async def without_them(tmp_path: Path) -> AsyncIterator[Server]:
    made = await server(tmp_path / "without.db", OURS)
    yield made
    await made.store.close()


def plain(answer: Answer) -> tuple[int, dict[str, str], bytes]:
    headers = {name: text for name, text in answer.headers.items() if name != "date"}
    # The number of an audit entry is its time, or the next that is free.
    return answer.status, headers, re.sub(rb"AU[0-9a-f]{32}", b"AU", answer.body)


MARKS: Final = [
    *("theirs", THEIRS, child(THEIRS).sid, account(THEIRS).kore_id, child(THEIRS).kore_id),
    *(CLIENT, *SECRETS, *TOKENS, records.SIMS[THEIRS].iccid, records.WIRELESS_SIMS[THEIRS].iccid),
    *(f"token {NUMBER}", f"text {NUMBER}", f"datagram {NUMBER}", f"command {NUMBER}"),
]
"""Texts that would reveal records of the other account."""


def marks_in(answer: Answer) -> list[str]:
    shown = f"{answer.headers} {answer.body.decode()}"
    return [mark for mark in MARKS if mark in shown]


def routes_of_somebody(server: Server) -> list[Route]:
    return [route for route in server.routes if route.path not in NOBODYS]


async def test_an_intruder_is_answered_as_if_the_other_account_did_not_exist(
    with_them: Server, without_them: Server
) -> None:
    kept = await with_them.store.transact(lambda tx: everything_of(tx, THEIRS))
    asks = [ask for route in routes_of_somebody(with_them) for ask in asks_of(route)]
    # Requests that create records come last, because these may have the same names as the other's.
    for ask in sorted(asks, key=lambda ask: (ask.verb in WRITING, "{" not in ask.path)):
        for one, other in zip(with_them.credentials, without_them.credentials, strict=True):
            answer = await with_them.ask(ask, one)
            assert plain(answer) == plain(await without_them.ask(ask, other)), ask
            if "{" in ask.path:
                assert answer.status in (400, 403, 404), ask
            if not ask.names_theirs:
                assert answer.status == 200, ask
                assert marks_in(answer) == [], ask
    assert await with_them.store.transact(lambda tx: everything_of(tx, THEIRS)) == kept


async def test_the_operator_sees_both_accounts_in_every_list(with_them: Server) -> None:
    lists = 0
    authorization = basic(OPERATOR.sid, "the operator's")
    for route in routes_of_somebody(with_them):
        if "{" in route.path or "GET" not in (route.methods or ()):
            continue
        target = f"{route.path}{QUERIES.get(route.path, '')}"
        answer = await with_them.ask(Ask("GET", route.path, target), authorization)
        if answer.status == 400:
            assert "Ringback-Account" in answer.json["message"], route.path
        else:
            shown = answer.body.decode()
            for sid in (OURS, THEIRS):
                marks = (sid, records.SIMS[sid].sid, f"http://{WHOSE[sid]}.example")
                assert any(mark in shown for mark in marks), route.path
            lists += 1
    assert lists > 8


@pytest.mark.parametrize("path", sorted(NOBODYS))
async def test_routes_without_account_data_reveal_nothing(with_them: Server, path: str) -> None:
    assert path in [route.path for route in with_them.routes]
    for authorization in with_them.credentials:
        answer = await with_them.ask(Ask("GET", path, path), authorization)
        assert marks_in(answer) == []
