"""An account that has one of everything of Programmable Wireless."""

from datetime import timedelta
from typing import Final

from ringback.core.sims.message import Direction, PayloadType
from ringback.core.wireless.command import CommandTransport
from ringback.core.wireless.sim import WirelessStatus
from ringback.core.wireless.usage import MeteredCommand
from ringback.ports import Transaction
from tests.contract.worlds import ACCOUNT, SUBACCOUNT, World, sample
from tests.fakes import NOW
from tests.wireless_fakes import (
    ABROAD,
    HOME,
    NATIONAL,
    a_command,
    a_rate_plan,
    a_wireless_session,
    a_wireless_sim,
)

SIM: Final = sample("DE")
PLAN: Final = sample("WP")
COMMAND: Final = sample("DC")
HOUR: Final = timedelta(hours=1)


def _fill(tx: Transaction, asked: str, name: str) -> None:
    tx.wireless.rate_plans.add(
        a_rate_plan(
            sid=PLAN,
            account_sid=ACCOUNT,
            unique_name="rate_plan",
            international_roaming=("data", "messaging", "voice"),
        )
    )
    tx.wireless.rate_plans.add(
        a_rate_plan(sid=sample("WP", "b"), account_sid=SUBACCOUNT, unique_name="rate_plan")
    )
    if asked != "DELETE /v1/RatePlans/{Sid}":
        _fill_sims(tx, is_active=name == "updateResetConnectivity")
    _fill_commands(tx)
    _fill_usage(tx)


def _fill_sims(tx: Transaction, *, is_active: bool) -> None:
    """Add a SIM with the samples' SID, one with the samples' name, and one with their number."""
    new, active = WirelessStatus.NEW, WirelessStatus.ACTIVE
    tx.wireless.sims.add(
        a_wireless_sim(
            sid=SIM,
            account_sid=ACCOUNT,
            unique_name=None,
            rate_plan_sid=PLAN,
            status=active if is_active else new,
        )
    )
    tx.wireless.sims.add(
        a_wireless_sim(
            sid=sample("DE", "b"),
            account_sid=ACCOUNT,
            unique_name="sim",
            iccid="8901340000000000001",
            rate_plan_sid=PLAN,
            status=active,
        )
    )
    tx.wireless.sims.add(
        a_wireless_sim(
            sid=sample("DE", "c"),
            account_sid=ACCOUNT,
            unique_name=None,
            iccid="iccid",
            rate_plan_sid=PLAN,
            status=new,
            is_resetting=True,
        )
    )


def _fill_commands(tx: Transaction) -> None:
    """Add two queued Commands like the samples': one from the device by SMS, one to it by IP."""
    tx.wireless.commands.add(
        a_command(
            sid=COMMAND,
            account_sid=ACCOUNT,
            sim_sid=sample("DE", "b"),
            direction=Direction.FROM_SIM,
        )
    )
    tx.wireless.commands.add(
        a_command(
            sid=sample("DC", "b"),
            account_sid=ACCOUNT,
            sim_sid=sample("DE", "b"),
            command="Y29tbWFuZA==",
            command_mode=PayloadType.BINARY,
            transport=CommandTransport.IP,
        )
    )


def _fill_usage(tx: Transaction) -> None:
    for letter, network in zip("abc", (HOME, NATIONAL, ABROAD), strict=True):
        tx.wireless.sessions.add(
            a_wireless_session(
                sid=sample("WN", letter),
                account_sid=ACCOUNT,
                sim_sid=SIM,
                network_sid=network.sid,
                rate_plan_sid=PLAN,
                up=150_000,
                began=NOW - 48 * HOUR,
                ended=NOW - HOUR if letter == "a" else None,
            )
        )
        tx.wireless.command_uses.add(
            MeteredCommand(ACCOUNT, SIM, network.sid, Direction.TO_SIM, NOW - HOUR)
        )


WORLD: Final = World(
    fill=_fill,
    sids={
        "/v1/Sims/{Sid}": SIM,
        # KORE uses the same name for the SIM there.
        "/v1/Sims/{Sid}/UsageRecords": SIM,
        "/v1/Sims/{Sid}/DataSessions": SIM,
        "/v1/Commands/{Sid}": COMMAND,
        "/v1/RatePlans/{Sid}": PLAN,
    },
    parents={"SimSid": SIM},
    forms={
        ("/v1/Sims/{Sid}", 200): {"FriendlyName": "The one in the cellar"},
        ("/v1/Commands", 201): {"Sim": "sim", "Command": "ping"},
        ("/v1/RatePlans", 201): {"DataLimit": "5"},
        ("/v1/RatePlans", 200): {"DataLimit": "5"},
        ("/v1/RatePlans/{Sid}", 200): {"UniqueName": "renamed"},
    },
    values={
        "Sim": "sim",
        "RatePlan": "rate_plan",
        "Iccid": "iccid",
        "Start": "2024-07-01T00:00:00Z",
        "End": "2024-07-02T00:00:00Z",
        "PageSize": "10",
        "Page": "0",
    },
    placeholders={
        ("CallbackMethod", "callback_method"): "POST",
        ("IncludeSid", "include_sid"): "end",
        # Not Base64, although one of the samples says so.
        ("Command", "command"): "commands",
        # A plan has no status, here or in any answer.
        ("Status", "status"): None,
    },
)
