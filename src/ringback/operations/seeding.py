"""The account, fleet and SIM that `ringback dev` begins with: those of KORE's notice."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from ringback.core.account import Account, ApiKey
from ringback.core.sids import SID_BYTES, Kind, make_sid
from ringback.core.sim import Fleet, Sim, SimStatus
from ringback.operations.accounts import create_account
from ringback.ports import Chance, Transaction

ACCOUNT_SID: Final = "AC3ba717b1d236e6c4a835e46130267eb4"
SIM_SID: Final = "HSab3f06be8f5d32caecb91e8a306c6c08"
SIM_NAME: Final = "my_super_sim"
_ACCOUNT_NAME: Final = "The notice's account"
_ICCID: Final = "89883070000123456789"
_FLEET_NAME: Final = "my_fleet"


@dataclass(frozen=True, slots=True)
class Seed:
    """What a developer needs to know of the account to begin with."""

    account: Account
    api_key: ApiKey
    sim_sid: str


def find_or_seed(
    tx: Transaction, *, uses_static_proxy: bool, now: datetime, chance: Chance
) -> Seed:
    """Return the notice's account, made with fresh secrets where the store is new."""
    account = tx.accounts.get(ACCOUNT_SID) or _plant(tx, now=now, chance=chance)
    account = replace(account, uses_static_proxy=uses_static_proxy)
    tx.accounts.save(account)
    return Seed(account, tx.accounts.keys_of(ACCOUNT_SID)[0], SIM_SID)


def _plant(tx: Transaction, *, now: datetime, chance: Chance) -> Account:
    account = create_account(
        tx, name=_ACCOUNT_NAME, schedule=None, now=now, chance=chance, sid=ACCOUNT_SID
    ).account
    fleet = Fleet(make_sid(Kind.FLEET, chance.bytes(SID_BYTES)), ACCOUNT_SID, _FLEET_NAME, now, now)
    tx.fleets.add(fleet)
    tx.sims.add(Sim(SIM_SID, ACCOUNT_SID, _ICCID, SIM_NAME, SimStatus.ACTIVE, fleet.sid, now, now))
    return account
