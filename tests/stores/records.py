"""Records to keep in a store, told apart by a number; `replace` makes one special."""

from datetime import datetime, timedelta

from ringback.core.account import Account, ApiKey
from ringback.core.callback import Attempt, Callback, Exchange, RecordedRequest, settle
from ringback.core.outcome import Outcome
from ringback.core.sids import Kind, make_sid
from ringback.core.sim import Fleet, Sim, SimStatus
from ringback.core.sim_update import SimUpdate
from ringback.ports import Claim, Lane
from tests.fakes import NOW, a_callback, a_sim, an_account, an_update

SECOND = timedelta(seconds=1)


def sid(kind: Kind, number: int) -> str:
    return make_sid(kind, number.to_bytes(16, "big"))


OURS = sid(Kind.ACCOUNT, 1)
THEIRS = sid(Kind.ACCOUNT, 2)


def account(account_sid: str = OURS) -> Account:
    return an_account(sid=account_sid)


def api_key(number: int, account_sid: str = OURS) -> ApiKey:
    return ApiKey(sid(Kind.API_KEY, number), account_sid, f"secret {number}")


def fleet(number: int, account_sid: str = OURS) -> Fleet:
    return Fleet(sid(Kind.FLEET, number), account_sid, f"fleet {number}", NOW, NOW)


def sim(number: int, account_sid: str = OURS) -> Sim:
    return a_sim(
        sid=sid(Kind.SIM, number),
        account_sid=account_sid,
        iccid=f"8988307{number:013}",
        unique_name=None,
        status=SimStatus.NEW,
        fleet_sid=None,
    )


def update_of(sim: Sim, *, due: datetime = NOW) -> SimUpdate:
    return an_update(
        sim_sid=sim.sid,
        account_sid=sim.account_sid,
        from_status=sim.status,
        to_status=SimStatus.ACTIVE,
        to_fleet_sid=None,
        due=due,
    )


HOST = "http://127.0.0.1:9000"
"""Where the callbacks go unless they say otherwise."""
OUR_LANE = Lane(OURS, HOST)
THEIR_LANE = Lane(THEIRS, HOST)


def callback(
    number: int,
    account_sid: str = OURS,
    *,
    due: datetime | None = NOW,
    url: str = f"{HOST}/path?foo=bar#cbs=kore",
    key: str | None = None,
) -> Callback:
    return a_callback(
        sid=sid(Kind.CALLBACK, number),
        account_sid=account_sid,
        token=f"token {number}",
        due=due,
        url=url,
        idempotency_key=key,
    )


def row_of(claim: Claim, outcome: Outcome, request: RecordedRequest | None = None) -> Attempt:
    """Return the row of a claim's attempt that ended like this."""
    started = claim.progress.date_updated
    return settle(claim.attempt, Exchange(outcome), request, started=started)
