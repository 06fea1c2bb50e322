"""Records for tests, each made from a number; `replace` changes single fields."""

from datetime import UTC, datetime, timedelta

from ringback.core.accounts.account import Account, ApiKey
from ringback.core.accounts.console_session import ConsoleSession
from ringback.core.accounts.secret_hash import hash_secret
from ringback.core.accounts.shared_link import LinkKind, SharedLink
from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.callbacks.callback import Attempt, CallbackRecord
from ringback.core.http.http_exchange import SentRequestRecord
from ringback.core.job import Job, JobKind
from ringback.core.policy.receiver_evidence import ReceiverCheck
from ringback.core.policy.source_policy import Source
from ringback.core.scheduled_task import ScheduledTask
from ringback.core.shadows.shadow import ShadowCallback
from ringback.core.sids import SID_BYTES, SidKind, dated, make_sid
from ringback.core.sims.message import Direction, MessageStatus, PayloadType
from ringback.core.sims.mobile_networks import NETWORKS
from ringback.core.sims.scenario import TaskKind
from ringback.core.supersim.command import IpCommand, IpStatus, SmsCommand
from ringback.core.supersim.esim_profile import EsimProfile, EsimStatus
from ringback.core.supersim.fleet import Fleet, NetworkAccessProfile
from ringback.core.supersim.pending_sim_update import PendingSuperSimUpdate
from ringback.core.supersim.settings_update import OtaSettingsUpdate, OtaSettingsUpdateStatus
from ringback.core.supersim.sim import SimStatus, SuperSim
from ringback.core.supersim.usage import BillingPeriod, BillingPeriodType, SuperSimDataSession
from ringback.core.wireless.command import WirelessCommand
from ringback.core.wireless.data_session import WirelessDataSession
from ringback.core.wireless.pending_sim_update import PendingWirelessSimUpdate
from ringback.core.wireless.rate_plan import RatePlan
from ringback.core.wireless.sim import WirelessSim, WirelessStatus
from ringback.core.wireless.usage import MeteredCommand
from ringback.ports import Lane
from tests.fakes import (
    NOW,
    a_callback,
    a_fleet,
    a_profile,
    a_sim,
    an_account,
    an_api_key,
    an_update,
)
from tests.wireless_fakes import (
    a_command,
    a_rate_plan,
    a_wireless_session,
    a_wireless_sim,
    a_wireless_update,
)

SECOND = timedelta(seconds=1)
ODD_INSTANT = datetime(2024, 10, 15, 12, 30, 59, 999999, tzinfo=UTC)
ODD_URL = CallbackUrl.parse(
    "HTTP://us%40er:p%C3%A4ss@Receiver.Example:8081/a%2Fb?x=1&y=@#rc=2&cbs=kore&unheard=of"
).with_warnings("the request also had the parameter 'ünheard'")


def sid(kind: SidKind, number: int) -> str:
    return make_sid(kind, number.to_bytes(16, "big"))


OURS = sid(SidKind.ACCOUNT, 1)
THEIRS = sid(SidKind.ACCOUNT, 2)


def account(account_sid: str = OURS) -> Account:
    return an_account(sid=account_sid)


def api_key(number: int, account_sid: str = OURS) -> ApiKey:
    return an_api_key(sid(SidKind.API_KEY, number), account_sid, f"secret {number}")


def profile(number: int, account_sid: str = OURS) -> NetworkAccessProfile:
    return a_profile(
        sid=sid(SidKind.NETWORK_ACCESS_PROFILE, number),
        account_sid=account_sid,
        unique_name=f"profile {number}",
    )


PROFILES = {OURS: profile(1001), THEIRS: profile(1002, THEIRS)}
"""The network access profile of each account's fleets; a store with both accounts has them."""


def fleet(number: int, account_sid: str = OURS) -> Fleet:
    return a_fleet(
        sid=sid(SidKind.FLEET, number),
        account_sid=account_sid,
        unique_name=f"fleet {number}",
        network_access_profile_sid=PROFILES[account_sid].sid,
    )


def sim(number: int, account_sid: str = OURS) -> SuperSim:
    return a_sim(
        sid=sid(SidKind.SIM, number),
        account_sid=account_sid,
        iccid=f"8988307{number:013}",
        unique_name=None,
        status=SimStatus.NEW,
        fleet_sid=None,
        device_ip=f"127.64.{number // 256}.{number % 256}",
    )


FLEETS = {OURS: fleet(1001), THEIRS: fleet(1002, THEIRS)}
SIMS = {OURS: sim(1001), THEIRS: sim(1002, THEIRS)}
"""The fleet and the SIM of each account, which other records refer to; see `furnished`."""


def update_of(sim: SuperSim) -> PendingSuperSimUpdate:
    return an_update(
        sim_sid=sim.sid,
        account_sid=sim.account_sid,
        from_status=sim.status,
        to_status=SimStatus.ACTIVE,
        to_fleet_sid=None,
    )


def sms_command(number: int, account_sid: str = OURS) -> SmsCommand:
    return SmsCommand(
        sid=sid(SidKind.SMS_COMMAND, number),
        account_sid=account_sid,
        sim_sid=SIMS[account_sid].sid,
        payload=f"text {number}",
        status=MessageStatus.QUEUED,
        direction=Direction.TO_SIM,
        date_created=NOW,
        date_updated=NOW,
    )


def ip_command(number: int, account_sid: str = OURS) -> IpCommand:
    return IpCommand(
        sid=sid(SidKind.IP_COMMAND, number),
        account_sid=account_sid,
        sim_sid=SIMS[account_sid].sid,
        sim_iccid=SIMS[account_sid].iccid,
        status=IpStatus.QUEUED,
        direction=Direction.TO_SIM,
        device_ip=None,
        device_port=7,
        payload_type=PayloadType.TEXT,
        payload=f"datagram {number}",
        date_created=NOW,
        date_updated=NOW,
    )


def esim_profile(number: int, account_sid: str = OURS) -> EsimProfile:
    return EsimProfile(
        sid=sid(SidKind.ESIM_PROFILE, number),
        account_sid=account_sid,
        status=EsimStatus.NEW,
        eid=None,
        has_matching_id=True,
        date_created=NOW,
        date_updated=NOW,
    )


def settings_update(number: int, account_sid: str = OURS) -> OtaSettingsUpdate:
    return OtaSettingsUpdate(
        sid=sid(SidKind.SETTINGS_UPDATE, number),
        account_sid=account_sid,
        iccid=SIMS[account_sid].iccid,
        sim_sid=SIMS[account_sid].sid,
        status=OtaSettingsUpdateStatus.SCHEDULED,
        date_created=NOW,
        date_updated=NOW,
    )


def billing_period(number: int, account_sid: str = OURS) -> BillingPeriod:
    return BillingPeriod(
        sid=sid(SidKind.BILLING_PERIOD, number),
        account_sid=account_sid,
        sim_sid=SIMS[account_sid].sid,
        period_type=BillingPeriodType.READY,
        start_time=NOW,
        end_time=NOW + timedelta(days=31),
        date_created=NOW,
        date_updated=NOW,
    )


def session(
    number: int, account_sid: str = OURS, *, began: datetime = NOW, ends: datetime | None = None
) -> SuperSimDataSession:
    return SuperSimDataSession(
        sid=sid(SidKind.DATA_SESSION, number),
        account_sid=account_sid,
        sim_sid=SIMS[account_sid].sid,
        fleet_sid=FLEETS[account_sid].sid,
        network_sid=NETWORKS[0].sid,
        iso_country=NETWORKS[0].iso_country,
        upload_per_hour=1_000,
        download_per_hour=2_000,
        date_created=began,
        date_ended=ends,
    )


def rate_plan(number: int, account_sid: str = OURS) -> RatePlan:
    return a_rate_plan(
        sid=sid(SidKind.RATE_PLAN, number), account_sid=account_sid, unique_name=f"plan {number}"
    )


RATE_PLANS = {OURS: rate_plan(1001), THEIRS: rate_plan(1002, THEIRS)}


def wireless_sim(number: int, account_sid: str = OURS) -> WirelessSim:
    return a_wireless_sim(
        sid=sid(SidKind.WIRELESS_SIM, number),
        account_sid=account_sid,
        iccid=f"890134{number:013}",
        unique_name=None,
        status=WirelessStatus.NEW,
        rate_plan_sid=None,
    )


WIRELESS_SIMS = {OURS: wireless_sim(1001), THEIRS: wireless_sim(1002, THEIRS)}


def wireless_update_of(sim: WirelessSim) -> PendingWirelessSimUpdate:
    return a_wireless_update(
        sim_sid=sim.sid,
        account_sid=sim.account_sid,
        from_status=sim.status,
        to_status=WirelessStatus.ACTIVE,
        to_rate_plan_sid=None,
    )


def command(number: int, account_sid: str = OURS) -> WirelessCommand:
    return a_command(
        sid=sid(SidKind.COMMAND, number),
        account_sid=account_sid,
        sim_sid=WIRELESS_SIMS[account_sid].sid,
        command=f"command {number}",
    )


def command_use(
    account_sid: str = OURS,
    *,
    at: datetime = NOW,
    sim_sid: str | None = None,
    network_sid: str = NETWORKS[0].sid,
    direction: Direction = Direction.TO_SIM,
) -> MeteredCommand:
    sim_sid = sim_sid or WIRELESS_SIMS[account_sid].sid
    return MeteredCommand(account_sid, sim_sid, network_sid, direction, at)


def wireless_session(
    number: int, account_sid: str = OURS, *, began: datetime = NOW, ends: datetime | None = None
) -> WirelessDataSession:
    return a_wireless_session(
        sid=sid(SidKind.DATA_SESSION, number),
        account_sid=account_sid,
        sim_sid=WIRELESS_SIMS[account_sid].sid,
        rate_plan_sid=RATE_PLANS[account_sid].sid,
        began=began,
        ended=ends,
    )


def task(
    number: int, step: TaskKind = TaskKind.UPDATE_SIM, *, due: datetime = NOW
) -> ScheduledTask:
    return ScheduledTask(step, sid(SidKind.SIM, number), OURS, due)


def job(number: int, account_sid: str = OURS) -> Job:
    return Job(
        sid=sid(SidKind.JOB, number),
        account_sid=account_sid,
        kind=JobKind.REPLAY,
        parameters={"statuses": ["failed"], "as_other_source": False},
        estimate=number,
        is_exact=True,
        counts={},
        created_by=f"account {account_sid}",
        date_created=NOW,
        date_updated=NOW,
    )


def shared_link(number: int, account_sid: str = OURS) -> SharedLink:
    return SharedLink(
        sid=sid(SidKind.SHARED_LINK, number),
        account_sid=account_sid,
        kind=LinkKind.CALLBACK,
        subject=sid(SidKind.CALLBACK, number),
        note=f"note {number}",
        token_hash=hash_secret(f"link {number}"),
        created_by=f"account {account_sid}",
        date_created=NOW,
        date_expires=NOW + number * SECOND,
    )


def console_session(number: int, credential: str = OURS) -> ConsoleSession:
    return ConsoleSession(
        sid=sid(SidKind.CONSOLE_SESSION, number),
        token_hash=hash_secret(f"session {number}"),
        credential=credential,
        proof=f"proof {number}",
        address="192.0.2.7",
        date_created=NOW,
        date_last_used=NOW + number * SECOND,
    )


def receiver_check(
    source: str = Source.KORE,
    *,
    url: str = "https://a.example/hook",
    account_sid: str = OURS,
    date: datetime = NOW,
    fault: str | None = None,
    words: str = "",
) -> ReceiverCheck:
    return ReceiverCheck(account_sid, url, source, date, fault, words)


HOST = "http://127.0.0.1:9000"
"""The URL of callbacks by default."""
OUR_LANE = Lane(OURS, HOST)
THEIR_LANE = Lane(THEIRS, HOST)


def callback(
    number: int,
    account_sid: str = OURS,
    *,
    due: datetime | None = NOW,
    url: str = f"{HOST}/path?foo=bar#cbs=kore",
    key: str | None = None,
    created: datetime = NOW,
) -> CallbackRecord:
    return a_callback(
        sid=make_sid(SidKind.CALLBACK, dated(number.to_bytes(SID_BYTES, "big"), created)),
        now=created,
        account_sid=account_sid,
        token=f"token {number}",
        due=due,
        url=url,
        idempotency_key=key,
    )


def shadow(number: int, account_sid: str = OURS, source: Source = Source.TWILIO) -> ShadowCallback:
    """Return the open row of the copy of the callback with this number."""
    return ShadowCallback(
        sid=sid(SidKind.SHADOW, number),
        source=source,
        idempotency_token=f"token {number}",
        url=callback(number).url.with_parameters("shadow=1"),
        attempt=Attempt(callback(number).sid, account_sid, 1, NOW + number * SECOND),
    )


def request_of(shadow: ShadowCallback, head: str = "POST /p HTTP/1.1") -> SentRequestRecord:
    """Return the request of a copy, with the body that all callbacks of `callback` have."""
    return SentRequestRecord("POST", shadow.url.wire, head, callback(1).body)
