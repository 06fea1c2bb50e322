from ringback.core.errors import ConfigurationError
from ringback.probe.counter_watch import CounterWatch
from ringback.probe.effect_counter import EffectCounter
from ringback.runtime.system_clock import stopwatch


class Counter:
    """A counter that a test can raise by any number, and break."""

    def __init__(self) -> None:
        self.count = 0
        self.is_broken = False

    async def read(self) -> int:
        if self.is_broken:
            raise ConfigurationError("the counter is gone")
        return self.count

    async def add(self, number: int = 1) -> bool:
        self.count += number
        return True

    async def break_down(self) -> str:
        self.is_broken = True
        return "came"


def counts_of(counter: Counter) -> EffectCounter:
    return EffectCounter(CounterWatch(counter.read, quiet=0.01, stopwatch=stopwatch))


async def test_effects_of_a_request_are_counted() -> None:
    counter = Counter()
    counts = counts_of(counter)
    await counts.try_out([1], counter.add)
    assert await counts.during(2, lambda: counter.add(2)) == (2, True)
    assert await counts.during(0, lambda: counter.add(0)) == (0, True)


async def test_without_a_counter_requests_are_sent_all_the_same() -> None:
    counter = Counter()
    effect, came = await EffectCounter(None).during(1, counter.add)
    assert isinstance(effect, str)
    assert came
    assert counter.count == 1


async def test_a_counter_that_counts_more_is_not_trusted() -> None:
    counter = Counter()
    counts = counts_of(counter)
    await counts.try_out([3], counter.add)
    effect, _ = await counts.during(1, counter.add)
    assert isinstance(effect, str)
    assert "raise it by 1, but raised it by 3" in effect


async def test_a_refused_request_does_not_test_the_counter() -> None:
    counter = Counter()
    counts = counts_of(counter)

    async def refuse(_: int) -> bool:
        return False

    await counts.try_out([1, 2], refuse)
    effect, _ = await counts.during(1, counter.add)
    assert effect == "no genuine callback was accepted, so the counter couldn't be tested"


async def test_a_counter_that_breaks_loses_no_answer_and_is_not_read_again() -> None:
    counter = Counter()
    counts = counts_of(counter)
    await counts.try_out([1], counter.add)
    gone = "the counter is gone"
    assert await counts.during(1, counter.break_down) == (gone, "came")
    counter.is_broken = False
    assert await counts.during(1, counter.break_down) == (gone, "came")
