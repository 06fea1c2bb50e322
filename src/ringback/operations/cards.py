"""SIMs of whichever product, for what is done with both: playing devices, choosing scenarios."""

from typing import assert_never

from ringback.core.errors import Invalid, NotFound
from ringback.core.supersim.sim import Sim
from ringback.core.wireless.sim import WirelessSim
from ringback.operations.moment import Moment
from ringback.operations.supersim import devices as supersim
from ringback.operations.wireless import devices as wireless
from ringback.ports import Transaction

Card = Sim | WirelessSim


def transfer_data(
    tx: Transaction, card: Card, *, upload: int, download: int, moment: Moment
) -> None:
    """Have the device of a SIM use data, at once; raises Invalid where it can't use so much."""
    match card:
        case Sim():
            supersim.transfer_data(tx, card, upload=upload, download=download, moment=moment)
        case WirelessSim():
            wireless.transfer_data(tx, card, upload=upload, download=download, moment=moment)
        case _:
            assert_never(card)


def find_card(tx: Transaction, account_sid: str, sid_or_name: str) -> Card | None:
    """Return the account's SIM with this SID or unique name, or None.

    Raises Invalid for a name that a SIM of each product has.
    """
    supersim = tx.supersim.sims.find(account_sid, sid_or_name)
    wireless = tx.wireless.sims.find(account_sid, sid_or_name)
    if supersim is not None and wireless is not None:
        raise Invalid(
            f"{sid_or_name!r} is the unique name of {supersim.sid} and of {wireless.sid}; name the"
            " SIM by its SID",
            code=83600,
        )
    return supersim or wireless


def fetch_card(tx: Transaction, account_sid: str, sid_or_name: str) -> Card:
    """Return the account's SIM with this SID or unique name; raises NotFound, or as `find_card`."""
    card = find_card(tx, account_sid, sid_or_name)
    if card is None:
        raise NotFound(f"there is no SIM with the SID or unique name {sid_or_name!r}")
    return card


def supersim_of(tx: Transaction, account_sid: str, sid_or_name: str) -> Sim:
    """Return a Super SIM; raises NotFound, and Invalid for a SIM of the other product."""
    sim = tx.supersim.sims.find(account_sid, sid_or_name)
    if sim is None:
        other = fetch_card(tx, account_sid, sid_or_name)
        raise Invalid(
            f"SIM {other.sid} is of Programmable Wireless, whose devices send Commands, no SMS and"
            " no IP Commands",
            code=83600,
        )
    return sim


def wireless_of(tx: Transaction, account_sid: str, sid_or_name: str) -> WirelessSim:
    """Return a Programmable Wireless SIM; raises NotFound, and Invalid for one of Super SIM."""
    sim = tx.wireless.sims.find(account_sid, sid_or_name)
    if sim is None:
        other = fetch_card(tx, account_sid, sid_or_name)
        raise Invalid(
            f"SIM {other.sid} is a Super SIM, whose devices send SMS and IP Commands, no others",
            code=83600,
        )
    return sim


def card_named(tx: Transaction, account_sid: str, sid_or_name: str) -> Card:
    """Return the SIM that a parameter names; raises Invalid (83005), or as `find_card`."""
    card = find_card(tx, account_sid, sid_or_name)
    if card is None:
        raise Invalid(
            f"Sim={sid_or_name!r}: there is no SIM with this SID or unique name", code=83005
        )
    return card
