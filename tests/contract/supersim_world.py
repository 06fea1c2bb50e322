"""An account that has one of everything of Super SIM.

Only networks have SIDs of ours, which replace those in samples.
"""

from dataclasses import replace
from datetime import timedelta
from typing import Final

from ringback.core.sims.message import Direction, MessageStatus, PayloadType
from ringback.core.sims.mobile_networks import NETWORKS
from ringback.core.supersim.command import IpCommand, IpStatus, SmsCommand
from ringback.core.supersim.esim_profile import SMDP_PLUS_ADDRESS, EsimProfile, EsimStatus
from ringback.core.supersim.settings_update import OtaSettingsUpdate, OtaSettingsUpdateStatus
from ringback.core.supersim.sim import SimStatus
from ringback.core.supersim.usage import BillingPeriod, BillingPeriodType, SuperSimDataSession
from ringback.ports import Transaction
from tests.contract.worlds import ACCOUNT, SUBACCOUNT, World, sample
from tests.fakes import NOW, a_fleet, a_profile, a_sim

SIM: Final = sample("HS")
FLEET: Final = sample("HF")
PROFILE: Final = sample("HA")
EID: Final = "89049032005008882600033489aaaaaa"
ICCID: Final = "89883070000123456789"
DAY: Final = timedelta(days=1)

_AT_FRANCE: Final = next(one for one in NETWORKS if one.iso_country == "FR")


def _fill(tx: Transaction, asked: str, name: str) -> None:
    for sid, account, letter in ((PROFILE, ACCOUNT, "a"), (sample("HA", "b"), SUBACCOUNT, "b")):
        networks = (NETWORKS[0].sid,)
        tx.supersim.access_profiles.add(
            a_profile(sid=sid, account_sid=account, network_sids=networks)
        )
        tx.supersim.fleets.add(
            a_fleet(
                sid=sample("HF", letter),
                account_sid=account,
                unique_name="MyFleet" if account == ACCOUNT else "My Fleet",
                network_access_profile_sid=sid,
            )
        )
    tx.supersim.fleets.add(
        a_fleet(
            sid=sample("HF", "c"),
            account_sid=ACCOUNT,
            unique_name="My Fleet",
            network_access_profile_sid=PROFILE,
        )
    )
    if asked != "POST /v1/Sims":
        _fill_sims(tx)
    _fill_commands(tx)
    _fill_histories(tx)


def _fill_sims(tx: Transaction) -> None:
    names = (None, "sim", "SimSidOrUniqueName")
    for letter, name in zip("abc", names, strict=True):
        tx.supersim.sims.add(
            a_sim(
                sid=sample("HS", letter),
                account_sid=ACCOUNT,
                iccid=ICCID if letter == "a" else f"898830700000000{ord(letter):05}",
                unique_name=name,
                status=SimStatus.NEW if letter == "a" else SimStatus.ACTIVE,
                fleet_sid=FLEET,
                device_ip="100.64.0.123" if letter == "a" else f"100.64.0.{ord(letter)}",
            )
        )


def _fill_commands(tx: Transaction) -> None:
    tx.supersim.sms_commands.add(
        SmsCommand(
            sid=sample("HC"),
            account_sid=ACCOUNT,
            sim_sid=SIM,
            payload="content of the command",
            status=MessageStatus.RECEIVED,
            direction=Direction.FROM_SIM,
            date_created=NOW,
            date_updated=NOW,
        )
    )
    tx.supersim.ip_commands.add(
        IpCommand(
            sid=sample("HG"),
            account_sid=ACCOUNT,
            sim_sid=SIM,
            sim_iccid=ICCID,
            status=IpStatus.RECEIVED,
            direction=Direction.FROM_SIM,
            device_ip="100.64.0.123",
            device_port=100,
            payload_type=PayloadType.BINARY,
            payload="Y2hlY2tpbg==",
            date_created=NOW,
            date_updated=NOW,
        )
    )
    for letter, status in (("a", EsimStatus.AVAILABLE), ("b", EsimStatus.DOWNLOADED)):
        tx.supersim.esim_profiles.add(
            EsimProfile(
                sid=sample("HP", letter),
                account_sid=ACCOUNT,
                status=status,
                eid=EID,
                has_matching_id=False,
                date_created=NOW,
                date_updated=NOW,
                iccid="89883070000000000008",
                sim_sid=SIM,
                smdp_plus_address=SMDP_PLUS_ADDRESS,
            )
        )


def _fill_histories(tx: Transaction) -> None:
    settings = OtaSettingsUpdate(
        sid=sample("OB"),
        account_sid=ACCOUNT,
        iccid=ICCID,
        sim_sid=SIM,
        status=OtaSettingsUpdateStatus.SUCCESSFUL,
        date_created=NOW,
        date_updated=NOW,
        date_completed=NOW,
    )
    scheduled = OtaSettingsUpdateStatus.SCHEDULED
    tx.supersim.settings_updates.add(settings)
    tx.supersim.settings_updates.add(
        replace(settings, sid=sample("OB", "b"), status=scheduled, date_completed=None)
    )
    for letter, kind in (("a", BillingPeriodType.READY), ("b", BillingPeriodType.ACTIVE)):
        tx.supersim.billing_periods.add(
            BillingPeriod(
                sid=sample("HB", letter),
                account_sid=ACCOUNT,
                sim_sid=SIM,
                period_type=kind,
                start_time=NOW - 30 * DAY,
                end_time=NOW,
                date_created=NOW,
                date_updated=NOW,
            )
        )
    for letter, network in (("a", NETWORKS[0]), ("b", _AT_FRANCE)):
        tx.supersim.sessions.add(
            SuperSimDataSession(
                sid=sample("SE", letter),
                account_sid=ACCOUNT,
                sim_sid=SIM,
                fleet_sid=FLEET,
                network_sid=network.sid,
                iso_country=network.iso_country,
                upload_per_hour=150_000,
                download_per_hour=150_000,
                date_created=NOW - 2 * DAY,
            )
        )


_NETWORK: Final = NETWORKS[0].sid
_PROFILES: Final = "/v1/NetworkAccessProfiles"
_IN_PROFILE: Final = f"{_PROFILES}/{{NetworkAccessProfileSid}}/Networks"

WORLD: Final = World(
    fill=_fill,
    sids={
        "/v1/Sims/{Sid}": SIM,
        "/v1/SmsCommands/{Sid}": sample("HC"),
        "/v1/IpCommands/{Sid}": sample("HG"),
        "/v1/ESimProfiles/{Sid}": sample("HP"),
        "/v1/Fleets/{Sid}": FLEET,
        f"{_PROFILES}/{{Sid}}": PROFILE,
        f"{_IN_PROFILE}/{{Sid}}": _NETWORK,
        "/v1/Networks/{Sid}": _NETWORK,
    },
    parents={"SimSid": SIM, "NetworkAccessProfileSid": PROFILE},
    forms={
        ("/v1/Sims", 201): {"Iccid": "89883070000000000777", "RegistrationCode": "H3LL0W0RLD"},
        ("/v1/Sims/{Sid}", 200): {"UniqueName": "renamed"},
        ("/v1/Sims/{Sid}", 202): {"Status": "ready"},
        ("/v1/SmsCommands", 201): {"Sim": "sim", "Payload": "ping"},
        ("/v1/IpCommands", 201): {"Sim": "sim", "Payload": "ping", "DevicePort": "100"},
        ("/v1/ESimProfiles", 201): {"GenerateMatchingId": "true"},
        ("/v1/Fleets", 201): {"NetworkAccessProfile": PROFILE},
        ("/v1/Fleets/{Sid}", 200): {"DataLimit": "5"},
        (_PROFILES, 201): {},
        (f"{_PROFILES}/{{Sid}}", 200): {"UniqueName": "renamed"},
        (_IN_PROFILE, 201): {"Network": _NETWORK},
    },
    values={
        "Fleet": "MyFleet",
        "Sim": "sim",
        "NetworkAccessProfile": "my_profile",
        "Network": _NETWORK,
        "IsoCountry": "US",
        "Mcc": "310",
        "Mnc": "410",
        "StartTime": "2024-07-01T00:00:00Z",
        "EndTime": "2024-07-02T00:00:00Z",
        "PageSize": "10",
        "Page": "0",
    },
    replaced={sample("HW"): _NETWORK, "HW" + "a" * 31 + "b": NETWORKS[1].sid},
)
