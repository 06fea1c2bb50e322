"""Places for connections: one too many waits, and what is idle makes room."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager

from ringback.http_client.connection_limiter import ConnectionLimiter
from tests.unit.engine.parts import all_has_run


async def test_who_comes_when_all_are_taken_waits_until_one_is_left() -> None:
    limiter = ConnectionLimiter(2, make_room=lambda: None)
    await limiter.enter("AC1")
    await limiter.enter("AC1")
    third = asyncio.create_task(limiter.enter("AC2"))
    await all_has_run()
    assert not third.done()
    assert (limiter.taken, limiter.is_waited_for) == (2, True)
    limiter.leave("AC1")
    await third
    assert (limiter.taken, limiter.is_waited_for) == (2, False)


async def test_one_account_may_have_all_places() -> None:
    limiter = ConnectionLimiter(4, make_room=lambda: None)
    for _ in range(4):
        await limiter.enter("AC1")
    assert limiter.taken == 4


async def test_an_idle_connection_is_asked_to_go_before_anybody_waits() -> None:
    limiter = ConnectionLimiter(1, make_room=lambda: limiter.leave("AC1"))
    waits = list[str]()

    @contextmanager
    def waiting() -> Generator[None]:
        waits.append("begun")
        yield
        waits.append("over")

    await limiter.enter("AC1", waiting=waiting)
    assert waits == [], "there was a place"
    await limiter.enter(waiting=waiting)
    assert waits == ["begun", "over"]
    assert limiter.taken == 1


async def test_who_gives_up_takes_no_place() -> None:
    limiter = ConnectionLimiter(1, make_room=lambda: None)
    await limiter.enter()
    given_up = asyncio.create_task(limiter.enter())
    await all_has_run()
    given_up.cancel()
    await all_has_run()
    limiter.leave()
    assert (limiter.taken, limiter.is_waited_for) == (0, False)
