"""Looking names up: the guard, the cache, and sharing slots among accounts."""

import asyncio
import errno
import socket
from collections.abc import Generator
from concurrent.futures import Future
from contextlib import contextmanager

import pytest

from ringback.core.http.outcome import AttemptFailure, NoAnswerOutcome
from ringback.http_client.guarded_resolver import CachingResolver
from tests.networks import MadeUpTime, in_made_up_time
from tests.unit.delivery.parts import all_has_run
from tests.unit.http_client.parts import GUARD, a_resolver


class Names:
    """A resolver that answers only when the test says so, and records the names asked for."""

    def __init__(self) -> None:
        self.asked = list[str]()
        self.answers = dict[str, asyncio.Future[list[str]]]()

    async def __call__(self, host: str) -> list[str]:
        self.asked.append(host)
        self.answers[host] = asyncio.get_running_loop().create_future()
        return await self.answers[host]


async def nobody(host: str) -> list[str]:
    await asyncio.Event().wait()
    return []


def failure_of(found: tuple[str, ...] | NoAnswerOutcome) -> AttemptFailure | None:
    return found.failure if isinstance(found, NoAnswerOutcome) else None


# ---- the addresses


@pytest.mark.parametrize(
    ("addresses", "passed"),
    [
        (["127.0.0.1"], ("127.0.0.1",)),
        (["127.0.0.1", "127.0.0.2", "127.0.0.1"], ("127.0.0.1", "127.0.0.2")),
        (["10.0.0.1", "127.0.0.1", "fe80::1"], ("127.0.0.1",)),
    ],
    ids=["one", "twice the same", "some that the guard refuses"],
)
async def test_each_address_that_the_guard_permits_is_found_once(
    addresses: list[str], passed: tuple[str, ...]
) -> None:
    assert await a_resolver(*addresses).look_up("a.example") == passed


async def test_the_reason_for_refusing_a_name_hides_its_addresses_but_the_log_does_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "ringback")
    found = await a_resolver("10.0.0.1", "10.0.0.2").look_up("a.example")
    assert isinstance(found, NoAnswerOutcome)
    assert found.failure is AttemptFailure.GUARD
    assert found.why.startswith("a.example does not lead to a public address")
    assert "10.0.0.1, 10.0.0.2" in caplog.text


async def test_an_address_in_a_url_is_checked_itself() -> None:
    found = await a_resolver("10.0.0.1").look_up("10.0.0.1")
    assert isinstance(found, NoAnswerOutcome)
    assert found.why.startswith("10.0.0.1 is not a public address")


@pytest.mark.parametrize(
    ("error", "failure", "why"),
    [
        (socket.gaierror(socket.EAI_NONAME, "unknown"), AttemptFailure.NAME, "unknown"),
        (UnicodeError("too long a label"), AttemptFailure.NAME, "too long a label"),
        (OSError(errno.EMFILE, ""), AttemptFailure.SHORTAGE, "Too many open files"),
    ],
)
async def test_a_failure_is_attributed_to_the_name_or_the_machine(
    error: Exception, failure: AttemptFailure, why: str
) -> None:
    async def fail(host: str) -> list[str]:
        raise error

    found = await a_resolver(resolve=fail).look_up("a.example")
    assert isinstance(found, NoAnswerOutcome)
    assert found.failure is failure
    assert found.why.endswith(why)


async def test_a_name_without_an_address_says_so() -> None:
    assert await a_resolver().look_up("a.example") == NoAnswerOutcome(
        AttemptFailure.NAME, "the host a.example could not be looked up: it has no address"
    )


# ---- the cache


async def _answering(loop: MadeUpTime, addresses: list[str]) -> list[float]:
    """Return the times of the real lookups of a name that is requested every two seconds."""
    asked = list[float]()

    async def resolve(host: str) -> list[str]:
        asked.append(loop.elapsed)
        return addresses

    resolver = a_resolver(resolve=resolve, remember=5)
    for _ in range(5):
        await resolver.look_up("a.example")
        await asyncio.sleep(2)
    return asked


def test_found_addresses_are_cached_for_a_while() -> None:
    asked = in_made_up_time(lambda loop: _answering(loop, ["127.0.0.1"]))
    assert asked == pytest.approx([0, 6])


@pytest.mark.parametrize("addresses", [[], ["10.0.0.1"]], ids=["failed", "refused"])
def test_failed_lookups_are_repeated(addresses: list[str]) -> None:
    asked = in_made_up_time(lambda loop: _answering(loop, addresses))
    assert asked == pytest.approx([0, 2, 4, 6, 8])


def test_cached_addresses_are_available_without_waiting() -> None:
    async def story(loop: MadeUpTime) -> None:
        resolver = a_resolver("127.0.0.1", remember=5)
        assert resolver.remembered("a.example", loop.time()) == ()
        await resolver.look_up("a.example")
        assert resolver.remembered("a.example", 4.9) == ("127.0.0.1",)
        assert resolver.remembered("a.example", 5) == ()

    in_made_up_time(story)


async def test_the_number_of_cached_names_is_limited() -> None:
    resolver, now = a_resolver("127.0.0.1"), asyncio.get_running_loop().time()
    for number in range(1025):
        await resolver.look_up(f"{number}.example")
    assert resolver.remembered("0.example", now) == ()
    assert resolver.remembered("1.example", now) == ("127.0.0.1",)


# ---- turns


async def test_all_callers_for_a_name_share_one_lookup_and_none_ends_it_for_the_others() -> None:
    names = Names()
    resolver = a_resolver(resolve=names)
    first, hasty, last = (asyncio.create_task(resolver.look_up("a.example")) for _ in range(3))
    await all_has_run()
    hasty.cancel()
    first.cancel()
    await all_has_run()
    names.answers["a.example"].set_result(["127.0.0.1"])
    assert await last == ("127.0.0.1",)
    assert names.asked == ["a.example"]


async def test_one_lookup_too_many_waits_for_a_turn_and_reports_that() -> None:
    names, waits = Names(), list[str]()

    @contextmanager
    def waiting() -> Generator[None]:
        waits.append("begun")
        yield
        waits.append("over")

    resolver = a_resolver(resolve=names, at_once=1)
    first = asyncio.create_task(resolver.look_up("a.example", waiting=waiting))
    await all_has_run()
    second = asyncio.create_task(resolver.look_up("b.example", waiting=waiting))
    await all_has_run()
    assert (names.asked, waits) == (["a.example"], ["begun"])
    names.answers["a.example"].set_result(["127.0.0.1"])
    await first
    await all_has_run()
    assert (names.asked, waits) == (["a.example", "b.example"], ["begun", "over"])
    names.answers["b.example"].set_result(["127.0.0.1"])
    await second


async def test_a_name_that_nobody_waits_for_any_more_takes_no_turn() -> None:
    names = Names()
    resolver = a_resolver(resolve=names, at_once=1)
    first = asyncio.create_task(resolver.look_up("a.example"))
    await all_has_run()
    given_up = asyncio.create_task(resolver.look_up("b.example"))
    await all_has_run()
    given_up.cancel()
    names.answers["a.example"].set_result(["127.0.0.1"])
    await first
    await all_has_run()
    assert names.asked == ["a.example"]


async def test_a_name_is_looked_up_in_the_first_turn_of_any_account_that_waits_for_it() -> None:
    names = Names()
    resolver = a_resolver(resolve=names, at_once=2)
    looking_up = [
        asyncio.create_task(resolver.look_up(f"{name}.example", account="AC1"))
        for name in ("a", "b", "shared")
    ]
    await all_has_run()
    assert names.asked == ["a.example"], "an account leaves half of the turns to others"
    looking_up.append(asyncio.create_task(resolver.look_up("shared.example", account="AC2")))
    await all_has_run()
    assert names.asked == ["a.example", "shared.example"]
    for host in ("a.example", "shared.example", "b.example"):
        await all_has_run()
        names.answers[host].set_result(["127.0.0.1"])
    assert await asyncio.gather(*looking_up) == [("127.0.0.1",)] * 4


# ---- names that hang


def test_a_hanging_name_fails_after_the_limit_and_then_at_once_for_a_while() -> None:
    async def story(loop: MadeUpTime) -> list[float]:
        resolver, ends = a_resolver(resolve=nobody, limit=4, remember_hanging=10), list[float]()
        for at in (0, 5, 13, 15):
            await asyncio.sleep(at - loop.time())
            assert await resolver.look_up("a.example") == NoAnswerOutcome(
                AttemptFailure.NAME,
                "the host a.example could not be looked up: no answer came within 4 s",
            )
            ends.append(loop.time())
        return ends

    assert in_made_up_time(story) == pytest.approx([4, 5, 13, 19])


def _with_threads(at_once: int = 2) -> tuple[CachingResolver, dict[str, Future[list[str]]]]:
    """Return a resolver whose lookups continue after the limit, and those lookups."""
    threads = dict[str, Future[list[str]]]()

    async def resolve(host: str) -> list[str]:
        found = threads.setdefault(host, Future[list[str]]())
        found.set_running_or_notify_cancel() if not found.running() else None
        return await asyncio.wrap_future(found)

    resolver = CachingResolver(
        guard=GUARD,
        resolve=resolve,
        still_asking=lambda host: threads.get(host) if not threads[host].done() else None,
        limit=4,
        at_once=at_once,
    )
    return resolver, threads


def test_a_turn_is_free_when_its_lookup_has_really_ended() -> None:
    async def story(loop: MadeUpTime) -> None:
        resolver, threads = _with_threads(at_once=1)
        assert failure_of(await resolver.look_up("a.example")) is AttemptFailure.NAME
        waiting = asyncio.create_task(resolver.look_up("b.example"))
        await asyncio.sleep(60)
        assert list(threads) == ["a.example"]
        threads["a.example"].set_result(["127.0.0.1"])
        await all_has_run()
        threads["b.example"].set_result(["127.0.0.2"])
        assert await waiting == ("127.0.0.2",)

    in_made_up_time(story)


def test_another_caller_for_a_hanging_name_joins_its_lookup() -> None:
    async def story(loop: MadeUpTime) -> None:
        resolver, threads = _with_threads(at_once=1)
        await resolver.look_up("a.example")
        again = asyncio.create_task(resolver.look_up("a.example"))
        await all_has_run()
        threads["a.example"].set_result(["127.0.0.1"])
        assert await again == ("127.0.0.1",)

    in_made_up_time(story)


@pytest.mark.parametrize(
    ("late", "is_asked_again"),
    [
        (None, True),
        (OSError("no name server could be reached"), False),
        (OSError(errno.EMFILE, "Too many open files"), True),
    ],
)
def test_a_name_that_hung_is_looked_up_again_if_it_answers_late_or_a_shortage_ended_it(
    late: OSError | None, is_asked_again: bool
) -> None:
    async def story(loop: MadeUpTime) -> AttemptFailure | None:
        resolver, threads = _with_threads()
        await resolver.look_up("a.example")
        hung = threads.pop("a.example")
        if late is None:
            hung.set_result(["127.0.0.1"])
        else:
            hung.set_exception(late)
        await all_has_run()
        again = asyncio.create_task(resolver.look_up("a.example"))
        await all_has_run()
        if again.done():
            return failure_of(again.result())
        threads["a.example"].set_result(["127.0.0.1"])
        return failure_of(await again)

    assert in_made_up_time(story) is (None if is_asked_again else AttemptFailure.NAME)


async def test_closing_cancels_lookups_in_progress() -> None:
    resolver = a_resolver(resolve=nobody)
    looking_up = asyncio.create_task(resolver.look_up("a.example"))
    await all_has_run()
    await resolver.close()
    with pytest.raises(asyncio.CancelledError):
        await looking_up
