"""Creates the example fleet and Super SIM of KORE's migration notice, for `ringback dev`."""

from dataclasses import replace
from typing import Final

from ringback.core.supersim.sim import SimStatus, SuperSim
from ringback.operations.context import OperationContext
from ringback.operations.supersim.access_profiles import create_access_profile
from ringback.operations.supersim.fleets import FleetParameters, create_fleet
from ringback.operations.supersim.settings_updates import add_written_settings
from ringback.operations.supersim.sim_lifecycle import follow
from ringback.ports import Transaction

SIM_SID: Final = "HSab3f06be8f5d32caecb91e8a306c6c08"
SIM_NAME: Final = "my_super_sim"
# Made up: the vendors' samples register 89883070000123456789, which must be free here.
_ICCID: Final = "89883070240703144058"
_FLEET_NAME: Final = "my_fleet"
_PROFILE_NAME: Final = "all_networks"
_DEVICE_IP: Final = "127.0.0.1"
"""The usual source address of local programs, so that any of them can play the SIM's device."""


def seed(tx: Transaction, account_sid: str, context: OperationContext) -> None:
    """Create a fleet for the account, and a SIM in the fleet."""
    profile = create_access_profile(
        tx, account_sid, unique_name=_PROFILE_NAME, networks=(), context=context
    )
    fleet = create_fleet(
        tx,
        account_sid,
        FleetParameters(unique_name=_FLEET_NAME, network_access_profile=profile.sid),
        data_enabled=True,
        sms_commands_enabled=True,
        context=context,
    )
    sim = SuperSim(
        sid=SIM_SID,
        account_sid=account_sid,
        iccid=_ICCID,
        unique_name=SIM_NAME,
        status=SimStatus.ACTIVE,
        fleet_sid=fleet.sid,
        date_created=context.now,
        date_updated=context.now,
        device_ip=_DEVICE_IP,
    )
    tx.supersim.sims.add(sim)
    # Nothing may be under way at first, so that all changes come from what the developer does.
    add_written_settings(tx, sim, context)
    follow(tx, sim, context)


def address_first_sim(tx: Transaction) -> None:
    """Give the first SIM the default device address if an older Ringback gave it another one."""
    sim = tx.supersim.sims.get(SIM_SID)
    if sim is not None and tx.supersim.sims.first({"device_ip": _DEVICE_IP}) is None:
        tx.supersim.sims.save(replace(sim, device_ip=_DEVICE_IP))
