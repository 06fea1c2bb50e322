"""The records in the store that the API tests use."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from ringback.api.app import create_app
from ringback.api.dependencies import ApiDependencies, DestinationServices
from ringback.api.operation_definition import ApiOperation
from ringback.core.accounts.account import Account
from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.callbacks.callback import CallbackRecord
from ringback.core.errors import InvalidCallbackUrl
from ringback.core.policy.receiver_evidence import ReceiverCheck
from ringback.core.policy.source_policy import SourceName
from ringback.core.retry_schedule import FAITHFUL
from ringback.delivery.destination_book import DestinationBook
from ringback.delivery.destination_control import DestinationControl
from ringback.operations.callback_destinations import CallbackUrlAndMethod
from ringback.ports import (
    CallbackFilter,
    Clock,
    LoopWaker,
    NewCallbackQueue,
    PageWindow,
    Store,
    Transaction,
)
from tests.callback_queues import BatchesAtOnce, RecordingQueue
from tests.fakes import (
    ACCOUNT_SID,
    NOW,
    FakeClock,
    SeededRandomness,
    a_context,
    a_fleet,
    a_profile,
    a_sim,
    an_account,
    an_api_key,
)
from tests.unit.api.caller import Answer
from tests.wireless_fakes import a_rate_plan, a_wireless_sim

THEIRS: Final = "AC" + "f" * 32
THEIR_SIM: Final = "HS" + "f" * 32
THEIR_PLAN: Final = "WP" + "f" * 32
THEIR_WIRELESS_SIM: Final = "DE" + "f" * 32
KEY_SECRET: Final = "made-up-key-secret"
KEY: Final = an_api_key(secret=KEY_SECRET)


class CountingNotifier:
    """Counts how often it is woken."""

    def __init__(self) -> None:
        self.times = 0

    def wake(self) -> None:
        self.times += 1


def only_https(text: str) -> CallbackUrl:
    """Parse a callback URL by the operator's own rules."""
    url = CallbackUrl.parse(text)
    if not url.uses_tls:
        raise InvalidCallbackUrl("http is not permitted here")
    return url.with_warnings("as the operator wishes")


def fill(tx: Transaction) -> None:
    """The notice's account with a SIM of each product, and another account with the same."""
    tx.accounts.add(an_account(), [KEY])
    tx.supersim.access_profiles.add(a_profile())
    tx.supersim.fleets.add(a_fleet())
    tx.supersim.sims.add(a_sim())
    tx.accounts.add(an_account(sid=THEIRS), [])
    tx.supersim.sims.add(
        a_sim(sid=THEIR_SIM, account_sid=THEIRS, iccid="8988307000000000002", fleet_sid=None)
    )
    tx.wireless.rate_plans.add(a_rate_plan())
    tx.wireless.sims.add(a_wireless_sim())
    tx.wireless.rate_plans.add(a_rate_plan(sid=THEIR_PLAN, account_sid=THEIRS))
    tx.wireless.sims.add(
        a_wireless_sim(
            sid=THEIR_WIRELESS_SIM,
            account_sid=THEIRS,
            iccid="8901340852295524799",
            rate_plan_sid=THEIR_PLAN,
        )
    )


async def found_ready(
    account: Account, to: CallbackUrlAndMethod, source: SourceName
) -> ReceiverCheck:
    """Check a receiver without a request: it is ready."""
    return ReceiverCheck(account.sid, to.url.wire, source, NOW)


def dependencies_on(
    store: Store,
    *,
    clock: Clock | None = None,
    task_runner: LoopWaker | None = None,
    callback_queue: NewCallbackQueue | None = None,
    read_url: Callable[[str], CallbackUrl] = CallbackUrl.parse,
) -> ApiDependencies:
    """Return the dependencies of the endpoints, with this store."""
    on, random_source = clock or FakeClock(), SeededRandomness()
    takes_in = callback_queue or RecordingQueue()
    return ApiDependencies(
        store=store,
        clock=on,
        context=lambda: a_context(now=on.now(), random_source=random_source, queue=takes_in),
        task_runner=task_runner or CountingNotifier(),
        callback_queue=takes_in,
        batch_queue=BatchesAtOnce(store, takes_in),
        read_url=read_url,
        destinations=DestinationServices(
            DestinationControl(
                DestinationBook((), FAITHFUL), clock=on, random_source=random_source
            ),
            ("dublin",),
        ),
    )


def app_on(
    store: Store,
    *,
    clock: Clock | None = None,
    task_runner: LoopWaker | None = None,
    callback_queue: NewCallbackQueue | None = None,
    read_url: Callable[[str], CallbackUrl] = CallbackUrl.parse,
    portal: Callable[[ApiDependencies], Sequence[ApiOperation]] = lambda _: (),
    beside: Sequence[BaseRoute] = (),
) -> ASGIApp:
    """Return the application, with this store."""
    dependencies = dependencies_on(
        store,
        clock=clock,
        task_runner=task_runner,
        callback_queue=callback_queue,
        read_url=read_url,
    )
    return create_app(dependencies, portal=portal(dependencies), beside=beside)


async def called_back(store: Store) -> list[CallbackRecord]:
    return await store.transact(
        lambda tx: tx.callbacks.page(ACCOUNT_SID, CallbackFilter(), PageWindow(999))
    )


def error(status: int, code: int, message: str) -> dict[str, Any]:
    """The form of every error."""
    return {
        "code": code,
        "message": message,
        "more_info": f"https://www.twilio.com/docs/errors/{code}",
        "status": status,
    }


def refusal(answer: Answer) -> tuple[int, int]:
    """Return an error's status and code, after checking its form: Twilio's, or one of KORE's."""
    told = answer.json
    usual = error(answer.status, told["code"], told["message"])
    link = f"https://docs.korewireless.com/errors/{told['code']}"
    kore = {**usual, "more_info": link}
    with_info = {name: value for name, value in usual.items() if name != "more_info"}
    assert told in (usual, kore, {**with_info, "info": link})
    assert list(told) in (list(usual), [name.removeprefix("more_") for name in usual])
    assert answer.headers["content-type"] == "application/json"
    return answer.status, told["code"]
