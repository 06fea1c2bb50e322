"""A store with a record of every kind, so that no list is empty and each fetch succeeds."""

from dataclasses import replace
from datetime import timedelta
from typing import Final

from ringback.core.calendar import months_after
from ringback.core.callback_counts import CallbackCounts, CountedMinute
from ringback.core.callbacks.callback import CallbackRecord, advance
from ringback.core.callbacks.rendering import render
from ringback.core.callbacks.retry import GiveUp
from ringback.core.http.http_exchange import (
    AttemptResult,
    ReceiverResponseRecord,
    RequestTimings,
    SentRequestRecord,
)
from ringback.core.http.outcome import DeliveredOutcome, RefusedOutcome
from ringback.core.policy.source_policy import Source
from ringback.core.shadows.shadow import (
    SHADOW_BYTES,
    ShadowCallback,
    ShadowQueryParameter,
    ShadowRule,
    copy_of,
)
from ringback.core.sims.message import Direction, MessageStatus, PayloadType
from ringback.core.sims.mobile_networks import NETWORKS
from ringback.core.streams.event_types import LATEST_VERSION
from ringback.core.streams.sink import SinkStatus
from ringback.core.supersim.command import IpCommand, IpStatus, SmsCommand
from ringback.core.supersim.esim_profile import SMDP_PLUS_ADDRESS, EsimProfile, EsimStatus
from ringback.core.supersim.settings_update import OtaSettingsUpdate, OtaSettingsUpdateStatus
from ringback.core.supersim.sim import SimStatus
from ringback.core.supersim.usage import BillingPeriod, BillingPeriodType, SuperSimDataSession
from ringback.core.wireless.sim import WirelessStatus
from ringback.core.wireless.usage import MeteredCommand
from ringback.ports import Lane, Settlement, Transaction, lane_of
from tests.fakes import (
    ACCOUNT_SID,
    FLEET_SID,
    NOW,
    PROFILE_SID,
    SIM_SID,
    a_callback,
    a_sim,
    claim_from,
)
from tests.streams import ARN, ENDED, ROLE_ARN, STARTED, a_sink, a_subscription
from tests.unit.api.world import fill
from tests.wireless_fakes import (
    ABROAD,
    HOME,
    NATIONAL,
    WIRELESS_SIM_SID,
    a_command,
    a_rate_plan,
    a_target,
    a_wireless_session,
    a_wireless_sim,
)

SMS_SID: Final = "HC" + "1" * 32
IP_SID: Final = "HG" + "1" * 32
ESIM_SID: Final = "HP" + "1" * 32
NEW_SIM_SID: Final = "HS" + "1" * 32
NEW_ESIM_SID: Final = "HP" + "2" * 32
NETWORK_SID: Final = NETWORKS[0].sid
NEW_WIRELESS_SIM_SID: Final = "DE" + "1" * 32
FREE_PLAN_SID: Final = "WP" + "1" * 32
"""A rate plan that no SIM uses."""
SINK_SID, FREE_SINK_SID, NEW_SINK_SID = (f"DG{number:032x}" for number in (1, 2, 3))
"""A sink that a subscription uses, one that none uses, and one that has to be validated."""
SUBSCRIPTION_SID: Final = f"DF{1:032x}"
TEST_ID: Final = "00000000-0000-4000-8000-000000000001"
"""The id in the test event of the sink that has to be validated."""

_SMS: Final = SmsCommand(
    sid=SMS_SID,
    account_sid=ACCOUNT_SID,
    sim_sid=SIM_SID,
    payload="Wake up",
    status=MessageStatus.DELIVERED,
    direction=Direction.TO_SIM,
    date_created=NOW,
    date_updated=NOW,
)
_DATAGRAM: Final = IpCommand(
    sid=IP_SID,
    account_sid=ACCOUNT_SID,
    sim_sid=SIM_SID,
    sim_iccid="8988307000000000001",
    status=IpStatus.RECEIVED,
    direction=Direction.FROM_SIM,
    device_ip="100.64.0.1",
    device_port=6969,
    payload_type=PayloadType.BINARY,
    payload="AAEC",
    date_created=NOW,
    date_updated=NOW,
)
_ESIM: Final = EsimProfile(
    sid=ESIM_SID,
    account_sid=ACCOUNT_SID,
    status=EsimStatus.AVAILABLE,
    eid="89049032005008882600033489000000",
    has_matching_id=True,
    date_created=NOW,
    date_updated=NOW,
    iccid="8988307000000000003",
    sim_sid=NEW_SIM_SID,
    smdp_plus_address=SMDP_PLUS_ADDRESS,
    matching_id="MATCHING-ID",
)
_SETTINGS: Final = OtaSettingsUpdate(
    sid="OB" + "1" * 32,
    account_sid=ACCOUNT_SID,
    iccid="8988307000000000001",
    sim_sid=SIM_SID,
    status=OtaSettingsUpdateStatus.SUCCESSFUL,
    date_created=NOW,
    date_updated=NOW,
    date_completed=NOW,
)
_PERIOD: Final = BillingPeriod(
    sid="HB" + "1" * 32,
    account_sid=ACCOUNT_SID,
    sim_sid=SIM_SID,
    period_type=BillingPeriodType.ACTIVE,
    start_time=NOW,
    end_time=months_after(NOW),
    date_created=NOW,
    date_updated=NOW,
)
_SESSION: Final = SuperSimDataSession(
    sid="WN" + "1" * 32,
    account_sid=ACCOUNT_SID,
    sim_sid=SIM_SID,
    fleet_sid=FLEET_SID,
    network_sid=NETWORK_SID,
    iso_country="US",
    upload_per_hour=1000,
    download_per_hour=2000,
    date_created=NOW - timedelta(days=1),
)
_REQUEST: Final = SentRequestRecord(
    "POST", "http://127.0.0.1:9000/path", "POST /path HTTP/1.1\r\nHost: 127.0.0.1:9000", "a=1"
)


def fill_with_plenty(tx: Transaction) -> None:
    """The records of the other tests, and one of every other kind."""
    fill(tx)
    counts = CallbackCounts(accepted=1, failures={"tls": 2}, attempt_seconds=[1] * 13)
    tx.counters.add([CountedMinute(NOW, *lane_of(a_callback()), Source.KORE, counts)])
    tx.supersim.sims.save(a_sim(device_ip="100.64.0.1"))
    tx.supersim.sims.add(
        a_sim(
            sid=NEW_SIM_SID,
            unique_name=None,
            iccid="8988307000000000003",
            status=SimStatus.NEW,
            fleet_sid=None,
        )
    )
    profile = tx.supersim.access_profiles.get(PROFILE_SID)
    assert profile is not None
    tx.supersim.access_profiles.save(replace(profile, network_sids=(NETWORK_SID,)))
    tx.supersim.sms_commands.add(_SMS)
    tx.supersim.ip_commands.add(_DATAGRAM)
    tx.supersim.esim_profiles.add(_ESIM)
    tx.supersim.esim_profiles.add(
        replace(
            _ESIM,
            sid=NEW_ESIM_SID,
            status=EsimStatus.NEW,
            iccid=None,
            sim_sid=None,
            smdp_plus_address=None,
            matching_id=None,
        )
    )
    tx.supersim.settings_updates.add(_SETTINGS)
    tx.supersim.billing_periods.add(_PERIOD)
    tx.supersim.sessions.add(_SESSION)
    _fill_wireless(tx)
    _fill_streams(tx)
    _add_failed_callback(tx)


def _fill_wireless(tx: Transaction) -> None:
    tx.wireless.rate_plans.add(
        a_rate_plan(
            sid=FREE_PLAN_SID,
            unique_name="free_plan",
            friendly_name="Nobody's",
            national_roaming_enabled=True,
            international_roaming=("data", "messaging"),
            usage_notification_url="http://127.0.0.1:9000/usage",
        )
    )
    tx.wireless.sims.add(
        a_wireless_sim(
            sid=NEW_WIRELESS_SIM_SID,
            unique_name=None,
            iccid="8901340852295524704",
            status=WirelessStatus.NEW,
            rate_plan_sid=None,
            eid="89049032005008882600033489000000",
            registration_code="H3LL0W0RLD",
            commands_to=a_target(),
            handlers={"sms_url": "http://127.0.0.1:9000/sms", "voice_method": "GET"},
        )
    )
    tx.wireless.commands.add(a_command(status=MessageStatus.DELIVERED))
    for letter, network in zip("123", (HOME, NATIONAL, ABROAD), strict=True):
        tx.wireless.sessions.add(
            a_wireless_session(
                sid="WN" + letter * 32,
                network_sid=network.sid,
                up=150_000,
                began=NOW - timedelta(days=1),
                ended=NOW - timedelta(hours=1) if letter == "1" else None,
            )
        )
        tx.wireless.command_uses.add(
            MeteredCommand(
                ACCOUNT_SID,
                WIRELESS_SIM_SID,
                network.sid,
                Direction.TO_SIM,
                NOW - timedelta(hours=1),
            )
        )


def _fill_streams(tx: Transaction) -> None:
    configuration = {"method": "post", "batch_events": False}
    used = a_sink(1, Source.TWILIO, "http://user:word@127.0.0.1:9000/events")
    tx.streams.sinks.add(replace(used, configuration=configuration))
    tx.streams.sinks.add(replace(a_sink(2, Source.TWILIO), configuration=configuration))
    tx.streams.sinks.add(
        replace(
            a_sink(3, Source.TWILIO, arn=ARN),
            configuration={"arn": ARN, "role_arn": ROLE_ARN, "external_id": "1"},
            status=SinkStatus.VALIDATING,
            test_id=TEST_ID,
        )
    )
    tx.streams.subscriptions.add(
        a_subscription(1, Source.TWILIO, types={STARTED: LATEST_VERSION, ENDED: 1})
    )


def _add_failed_callback(tx: Transaction) -> None:
    """Add a callback whose only attempt was refused."""
    tx.callbacks.add(a_callback())
    (claimed,) = claim_from(tx, Lane(ACCOUNT_SID, "http://127.0.0.1:9000"), NOW, limit=1)
    answered = ReceiverResponseRecord(503, (("Server", "made up"),), b"not now")
    exchange = AttemptResult(
        RefusedOutcome(503), RequestTimings(2.5, None, 0.5, None, 2.0), answered
    )
    request = render(claimed.callback, account=claimed.account, at=NOW)
    failed = advance(claimed.progress, GiveUp("made up"), NOW)
    tx.callbacks.settle([Settlement(claimed, failed, exchange, NOW, request)])
    _add_copies(tx, claimed.callback)


def _add_copies(tx: Transaction, callback: CallbackRecord) -> None:
    """Add a shadow copy that was delivered, and one that is in progress."""
    rule = ShadowRule(Source.TWILIO, ShadowQueryParameter("shadow=1"))
    taken, under_way = (
        ShadowCallback.opened(
            copy_of(callback, rule, random_bytes=bytes([number]) * SHADOW_BYTES, now=NOW),
            of=callback,
        )
        for number in (1, 2)
    )
    tx.shadows.open([taken, under_way])
    answered = ReceiverResponseRecord(200, (("Server", "made up"),), b"fine")
    exchange = AttemptResult(
        DeliveredOutcome(200), RequestTimings(2.5, None, 0.5, None, 2.0), answered, "192.0.2.1"
    )
    tx.shadows.settle([taken.settled(exchange, _REQUEST, started=NOW)])
