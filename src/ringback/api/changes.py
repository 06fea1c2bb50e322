"""How resources change something: in one transaction, seen at once."""

from collections.abc import Callable
from typing import TypeVar

from ringback.api.services import Services
from ringback.operations.moment import Moment
from ringback.ports import Transaction

T = TypeVar("T")


async def change(services: Services, work: Callable[[Transaction, Moment], T]) -> T:
    """Run this as one transaction, and have what is due of it be seen."""
    moment = services.moment()
    result = await services.store.transact(lambda tx: work(tx, moment))
    services.progress.wake()
    return result
