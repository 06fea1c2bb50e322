"""The account that `ringback dev` begins with: the notice's, with a SIM of each product."""

from dataclasses import dataclass, replace
from typing import Final

from ringback.core.account import Account, ApiKey
from ringback.operations.accounts import create_account
from ringback.operations.moment import Moment
from ringback.operations.supersim import seeding as supersim
from ringback.operations.wireless import seeding as wireless
from ringback.ports import Transaction

ACCOUNT_SID: Final = "AC3ba717b1d236e6c4a835e46130267eb4"
_ACCOUNT_NAME: Final = "The notice's account"


@dataclass(frozen=True, slots=True)
class Seed:
    """What a developer needs to know of the account to begin with."""

    account: Account
    api_key: ApiKey
    sim_sid: str
    wireless_sim_sid: str


def find_or_seed(tx: Transaction, moment: Moment, *, uses_static_proxy: bool) -> Seed:
    """Return the notice's account, made with fresh secrets where the store is new."""
    account = tx.accounts.get(ACCOUNT_SID) or _plant(tx, moment)
    account = replace(account, uses_static_proxy=uses_static_proxy)
    tx.accounts.save(account)
    supersim.address_first_sim(tx)
    wireless.plant_where_missing(tx, ACCOUNT_SID, moment)
    key = tx.accounts.keys_of(ACCOUNT_SID)[0]
    return Seed(account, key, supersim.SIM_SID, wireless.SIM_SID)


def _plant(tx: Transaction, moment: Moment) -> Account:
    account = create_account(
        tx,
        name=_ACCOUNT_NAME,
        schedule=None,
        now=moment.now,
        chance=moment.chance,
        sid=ACCOUNT_SID,
    ).account
    supersim.plant(tx, ACCOUNT_SID, moment)
    return account
