"""Fakes of the clock, randomness and transport, and builders of records for tests."""

import asyncio
import heapq
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import count
from random import Random
from typing import Any, Final

from ringback.core.accounts.account import Account, ApiKey
from ringback.core.accounts.client_credentials import (
    LIFETIMES,
    ApiClientType,
    ApiScope,
    ClientCredentials,
)
from ringback.core.accounts.secret_hash import hash_secret
from ringback.core.accounts.webhook_secret import NO_SECRETS, AccountWebhookSecrets, WebhookSecret
from ringback.core.audit import Actor, ActorKind, AuditEntry
from ringback.core.callback_urls.callback_target import CallbackTarget
from ringback.core.callback_urls.callback_url import CallbackUrl, HttpMethod
from ringback.core.callback_urls.connection_overrides import Timeouts
from ringback.core.callbacks.callback import CallbackRecord, CallbackStatus, DeliveryProgress
from ringback.core.events.event_kinds import TEST_EVENT, event_and_sim
from ringback.core.events.payload import parameters_of
from ringback.core.form_encoding import encode
from ringback.core.http.http_exchange import AttemptResult, OutgoingRequest
from ringback.core.http.outcome import DeliveredOutcome
from ringback.core.kore_ids import ULID_BYTES, KoreIdKind, make_kore_id
from ringback.core.policy.source_policy import NOTICE, Policy, Source, SourceName
from ringback.core.retry_schedule import RetrySchedule
from ringback.core.sims.sim_updated import SimUpdated
from ringback.core.sims.simulated_network import SimulationSettings
from ringback.core.sources.source_definition import BUILT_IN
from ringback.core.supersim.fleet import Fleet, NetworkAccessProfile
from ringback.core.supersim.pending_sim_update import PendingSuperSimUpdate
from ringback.core.supersim.sim import SimStatus, SuperSim
from ringback.delivery.current_signing_keys import CurrentSigningKeys
from ringback.operations.context import OperationContext
from ringback.ports import (
    DeliveryClaim,
    Lane,
    LaneQuota,
    NewCallbackQueue,
    RandomSource,
    Transaction,
)
from ringback.stores.encryption import SecretCipher, new_key
from tests.callback_queues import RecordingQueue

# From the notice's walkthrough.
ACCOUNT_SID: Final = "AC3ba717b1d236e6c4a835e46130267eb4"
SIM_SID: Final = "HSab3f06be8f5d32caecb91e8a306c6c08"
UNIQUE_NAME: Final = "my_super_sim"
TOKENS: Final[Mapping[SourceName, str]] = {
    Source.TWILIO: "ba8db584-d0ca-4379-3749-a4e21471a62e",
    Source.KORE: "RQa48ec9b6ef475034c35566c02b654243",
}
NOW: Final = datetime(2024, 7, 3, 14, 40, 58, tzinfo=UTC)
"""The Date header of the walkthrough's second callback."""

# Made up.
FLEET_SID: Final = "HF0123456789abcdef0123456789abcdef"
PROFILE_SID: Final = "HA0123456789abcdef0123456789abcdef"
TAKES: Final = timedelta(milliseconds=500)
"""How long each step takes on the network."""
CALLBACK_SID: Final = "CB0123456789abcdef0123456789abcdef"
VAULT: Final = SecretCipher([new_key()])
AUTH_TOKEN: Final = "made-up-auth-token"
KORE_SECRET: Final = "made-up-webhook-secret"


class FakeClock:
    """Implements `ports.Clock`; time passes only when a test says so."""

    def __init__(self, start: datetime = NOW) -> None:
        self._now = start
        self._sleepers: list[tuple[datetime, int, asyncio.Future[None]]] = []
        self._order = count()

    def now(self) -> datetime:
        return self._now

    async def sleep_until(self, instant: datetime) -> None:
        if instant <= self._now:
            return
        woken = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (instant, next(self._order), woken))
        await woken

    def advance(self, by: timedelta) -> None:
        """Let this much time pass."""
        self.set(self._now + by)

    def set(self, instant: datetime) -> None:
        """Set the time, and wake all sleepers whose time has come, in order."""
        self._now = instant
        while self._sleepers and self._sleepers[0][0] <= instant:
            *_, woken = heapq.heappop(self._sleepers)
            if not woken.done():
                woken.set_result(None)


class SeededRandomness:
    """Implements `ports.RandomSource`: the same bytes for the same seed, every time."""

    def __init__(self, seed: int = 0) -> None:
        self._random = Random(seed)

    def bytes(self, count: int) -> bytes:
        return self._random.randbytes(count)


class WithoutIdleConnections:
    """The part of `ports.Transport` that is the same for a transport that keeps no connections."""

    def try_send(
        self,
        request: OutgoingRequest,
        *,
        limits: Timeouts,
        turn: int = 0,
        ended: Callable[[AttemptResult], None],
    ) -> bool:
        return False

    def break_off(self) -> None:
        pass


class RecordingTransport(WithoutIdleConnections):
    """Implements `ports.Transport`: keeps what leaves, and ends each attempt by a script.

    After the script every attempt is delivered. With a gate, each attempt waits until it is set;
    `connecting` is awaited before the request leaves, as for a new connection.
    """

    def __init__(
        self,
        script: Iterable[AttemptResult] = (),
        *,
        gate: asyncio.Event | None = None,
        connecting: asyncio.Event | None = None,
    ) -> None:
        self.requests: list[OutgoingRequest] = []
        self.limits: list[Timeouts] = []
        self.turns: list[int] = []
        self.fresh: list[bool] = []
        self._script = iter(tuple(script))
        self._gate = gate
        self._connecting = connecting

    async def send(
        self,
        request: OutgoingRequest,
        *,
        limits: Timeouts,
        turn: int = 0,
        fresh: bool = False,
        anew: Callable[[], OutgoingRequest] | None = None,
        leaving: Callable[[], None] | None = None,
    ) -> AttemptResult:
        self.limits.append(limits)
        self.turns.append(turn)
        self.fresh.append(fresh)
        if self._connecting is not None:
            await self._connecting.wait()
            request = request if anew is None else anew()
        if leaving is not None:
            leaving()
        self.requests.append(request)
        if self._gate is not None:
            await self._gate.wait()
        return next(self._script, AttemptResult(DeliveredOutcome(200)))


def an_account(
    *,
    sid: str = ACCOUNT_SID,
    name: str = "Test",
    auth_token: str = AUTH_TOKEN,
    kore_secret: str = KORE_SECRET,
    uses_static_proxy: bool = False,
    date_created: datetime = NOW,
    schedule: RetrySchedule | None = None,
    parent_sid: str | None = None,
) -> Account:
    return Account(
        sid=sid,
        name=name,
        auth_token=auth_token,
        uses_static_proxy=uses_static_proxy,
        date_created=date_created,
        webhook_secrets=signing_with(kore_secret, account_sid=sid),
        schedule=schedule,
        parent_sid=parent_sid,
    )


def signing_with(value: str, *, account_sid: str = ACCOUNT_SID) -> AccountWebhookSecrets:
    """Return webhook secrets with this active secret; without any secret for an empty value."""
    return NO_SECRETS.with_new(a_secret(value, account_sid=account_sid)) if value else NO_SECRETS


def a_secret(
    value: str = KORE_SECRET, *, name: str = "first", account_sid: str = ACCOUNT_SID
) -> WebhookSecret:
    random_bytes = sha256(f"{account_sid} {name}".encode()).digest()[:ULID_BYTES]
    return WebhookSecret(
        make_kore_id(KoreIdKind.WEBHOOK_SECRET, NOW, random_bytes), name, value, NOW
    )


def an_api_key(
    sid: str = f"SK{'a' * 32}",
    account_sid: str | None = ACCOUNT_SID,
    secret: str = "made-up-key-secret",
) -> ApiKey:
    return ApiKey(sid, account_sid, "first", hash_secret(secret), NOW)


A_KEY: Final = Actor(ActorKind.API_KEY, f"SK{'a' * 32}", "first", "192.0.2.1")


def an_audit_entry(
    *,
    at: datetime = NOW,
    account_sid: str | None = ACCOUNT_SID,
    actor: Actor = A_KEY,
    action: str = "CreateFleet",
    subject: str = f"HF{'a' * 32}",
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> AuditEntry:
    return AuditEntry(
        date_created=at,
        account_sid=account_sid,
        actor_kind=actor.kind,
        actor=actor.id,
        actor_name=actor.name,
        address=actor.address,
        action=action,
        subject=subject,
        before=before,
        after=after,
    )


def an_api_client(
    *,
    sid: str = "apiclient_01j1wb3zdgaaaaaaaaaaaaaaaa",
    account_sid: str = ACCOUNT_SID,
    name: str = "Our dashboard",
    secret: str = "made-up-client-secret",
    type: ApiClientType = ApiClientType.ADMIN,  # noqa: A002 (the client's parameter name)
    products: frozenset[ApiScope] = frozenset(),
    date_created: datetime = NOW,
    lifetime: timedelta = LIFETIMES["1h"],
    locked: bool | None = None,
) -> ClientCredentials:
    return ClientCredentials(
        sid=sid,
        account_sid=account_sid,
        name=name,
        secret_hash=hash_secret(secret),
        type=type,
        products=products,
        date_created=date_created,
        lifetime=lifetime,
        locked=locked,
    )


def a_sim(
    *,
    sid: str = SIM_SID,
    account_sid: str = ACCOUNT_SID,
    iccid: str = "8988307000000000001",
    unique_name: str | None = UNIQUE_NAME,
    status: SimStatus = SimStatus.ACTIVE,
    fleet_sid: str | None = FLEET_SID,
    date_created: datetime = NOW,
    date_updated: datetime = NOW,
    device_ip: str | None = None,
    ready_since: datetime | None = None,
    sms_while_ready: int = 0,
) -> SuperSim:
    return SuperSim(
        sid=sid,
        account_sid=account_sid,
        iccid=iccid,
        unique_name=unique_name,
        status=status,
        fleet_sid=fleet_sid,
        date_created=date_created,
        date_updated=date_updated,
        device_ip=device_ip,
        ready_since=ready_since,
        sms_while_ready=sms_while_ready,
    )


def a_profile(
    *,
    sid: str = PROFILE_SID,
    account_sid: str = ACCOUNT_SID,
    unique_name: str | None = "my_profile",
    network_sids: tuple[str, ...] = (),
    date_created: datetime = NOW,
    date_updated: datetime = NOW,
) -> NetworkAccessProfile:
    return NetworkAccessProfile(
        sid=sid,
        account_sid=account_sid,
        unique_name=unique_name,
        network_sids=network_sids,
        date_created=date_created,
        date_updated=date_updated,
    )


def a_fleet(
    *,
    sid: str = FLEET_SID,
    account_sid: str = ACCOUNT_SID,
    unique_name: str | None = "my_fleet",
    network_access_profile_sid: str = PROFILE_SID,
    date_created: datetime = NOW,
    date_updated: datetime = NOW,
    data_enabled: bool = True,
    data_limit: int = 1000,
    sms_commands_enabled: bool = True,
    sms_commands_url: str | None = None,
    sms_commands_method: HttpMethod = HttpMethod.POST,
    ip_commands_url: str | None = None,
    ip_commands_method: HttpMethod = HttpMethod.POST,
) -> Fleet:
    return Fleet(
        sid=sid,
        account_sid=account_sid,
        unique_name=unique_name,
        network_access_profile_sid=network_access_profile_sid,
        date_created=date_created,
        date_updated=date_updated,
        data_enabled=data_enabled,
        data_limit=data_limit,
        sms_commands_enabled=sms_commands_enabled,
        sms_commands=CallbackTarget(_url(sms_commands_url), sms_commands_method),
        ip_commands=CallbackTarget(_url(ip_commands_url), ip_commands_method),
    )


def a_context(
    *,
    now: datetime = NOW,
    random_source: RandomSource | None = None,
    policy: Policy | None = None,
    queue: NewCallbackQueue | None = None,
    simulation: SimulationSettings | None = None,
    signing_keys: CurrentSigningKeys | None = None,
) -> OperationContext:
    return OperationContext(
        now=now,
        random_source=random_source or SeededRandomness(),
        policy=policy or NOTICE,
        queue=queue or RecordingQueue(),
        simulation=simulation or SimulationSettings(TAKES),
        signing_keys=signing_keys or CurrentSigningKeys(),
        sources=BUILT_IN,
    )


def _url(text: str | None) -> CallbackUrl | None:
    return None if text is None else CallbackUrl.parse(text)


def an_update(
    *,
    sim_sid: str = SIM_SID,
    account_sid: str = ACCOUNT_SID,
    from_status: SimStatus = SimStatus.ACTIVE,
    to_status: SimStatus = SimStatus.INACTIVE,
    to_fleet_sid: str | None = FLEET_SID,
    callback_url: str | None = "http://127.0.0.1:9000/path?foo=bar#cbs=kore",
    callback_method: HttpMethod = HttpMethod.POST,
) -> PendingSuperSimUpdate:
    return PendingSuperSimUpdate(
        sim_sid=sim_sid,
        account_sid=account_sid,
        from_status=from_status,
        to_status=to_status,
        to_fleet_sid=to_fleet_sid,
        callback=CallbackTarget(_url(callback_url), callback_method),
    )


def an_event(
    *,
    account_sid: str = ACCOUNT_SID,
    sim_sid: str = SIM_SID,
    sim_unique_name: str | None = UNIQUE_NAME,
    sim_status: SimStatus = SimStatus.INACTIVE,
    error_code: int | None = None,
    error_message: str | None = None,
) -> SimUpdated:
    return SimUpdated(
        account_sid=account_sid,
        sim_sid=sim_sid,
        sim_unique_name=sim_unique_name,
        sim_status=sim_status,
        error_code=error_code,
        error_message=error_message,
    )


def a_callback(
    *,
    url: str = "http://127.0.0.1:9000/path?foo=bar#cbs=kore",
    method: HttpMethod = HttpMethod.POST,
    source: SourceName = Source.KORE,
    event: SimUpdated | None = None,
    body: str | None = None,
    token: str | None = None,
    sid: str = CALLBACK_SID,
    account_sid: str = ACCOUNT_SID,
    source_reason: str = "made up",
    now: datetime = NOW,
    updated: datetime | None = None,
    status: CallbackStatus = CallbackStatus.SCHEDULED,
    status_reason: str | None = None,
    attempt_count: int = 0,
    due: datetime | None = NOW,
    round_attempts: int = 0,
    round_began: datetime | None = None,
    round_number: int = 0,
    idempotency_key: str | None = None,
    order_key: str | None = None,
    replay_of: str | None = None,
    is_test: bool = False,
    secret_id: str | None = None,
) -> CallbackRecord:
    """Return a callback about this event, or with this very body; the token is its source's."""
    parsed = CallbackUrl.parse(url)
    body = encode(parameters_of(event or an_event())) if body is None else body
    kind, sim_sid = (TEST_EVENT, None) if is_test else event_and_sim(body)
    return CallbackRecord(
        sid=sid,
        account_sid=account_sid,
        url=parsed,
        method=method,
        body=body,
        source=source,
        source_asked=parsed.source,
        source_reason=source_reason,
        idempotency_token=token or TOKENS[source],
        date_created=now,
        progress=DeliveryProgress(
            date_updated=updated or now,
            status=status,
            status_reason=status_reason,
            attempt_count=attempt_count,
            due=due,
            round_attempts=round_attempts,
            round_began=round_began,
            round_number=round_number,
        ),
        idempotency_key=idempotency_key,
        replay_of=replay_of,
        is_test=is_test,
        secret_id=secret_id,
        event=kind,
        sim_sid=sim_sid,
        order_key=order_key,
    )


def claim_from(tx: Transaction, lane: Lane, now: datetime, *, limit: int) -> list[DeliveryClaim]:
    """Claim at most `limit` due callbacks of a lane."""
    (claimed,) = tx.callbacks.claim([LaneQuota(lane, limit)], now)
    return claimed.claims


def next_due_in(tx: Transaction, lane: Lane) -> datetime | None:
    """Return when the next callback of a lane is due, or None if none waits."""
    (claimed,) = tx.callbacks.claim([LaneQuota(lane, 0)], NOW)
    return claimed.next_due
