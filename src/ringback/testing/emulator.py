"""The emulator: Ringback in this process, driven by a test."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final, Self, TypeVar

from ringback.core.calendar import read_duration
from ringback.core.sims.scenario import scenario_called
from ringback.core.wireless.sim import make_iccid
from ringback.operations.context import OperationContext
from ringback.operations.scenario_selection import choose_scenario
from ringback.operations.wireless.sims import SimCardRegistration, register_sim
from ringback.ports import CallbackFilter, PageWindow, Transaction
from ringback.runtime.system_clock import SystemClock
from ringback.testing.devices import Device
from ringback.testing.recording_receiver import RecordingReceiver
from ringback.testing.running_server import RunningServer
from ringback.testing.sent_callbacks import ExpectedCallback, SentCallback, in_lines, sent

T = TypeVar("T")

_NOTHING: Final[Mapping[str, str]] = {}
_MOST: Final = 1000
_LOOK_AGAIN_SECONDS: Final = 0.005


class Emulator:
    """Serves the SIM APIs on a free port of this machine, from a thread of this process.

    Its clock stands still until `advance`, and the network takes no time, so that whatever can
    happen has happened by the time a test looks. The same `seed` gives the same SIDs, tokens and
    secrets every time.
    """

    def __init__(
        self,
        *,
        settings: Mapping[str, str] = _NOTHING,
        start: datetime | None = None,
        seed: int = 0,
    ) -> None:
        """Prepare an emulator.

        `settings` are those of `ringback dev` as its flags have them, without the dashes in front
        and with underscores: `{"phase": "after", "schedule": "persistent"}`. `start` is the instant
        at which the clock stands, with its zone; now without it.
        """
        self.receiver = RecordingReceiver()
        """A receiver to point callbacks at."""
        self._settings = settings
        self._start = start or SystemClock().now().replace(microsecond=0)
        self._seed = seed
        self._expected = set[str]()
        self._running: RunningServer | None = None

    # ---- starting and stopping -------------------------------------------------------------------

    def start(self) -> Self:
        """Start to serve; raises ConfigurationError for settings that can't be used."""
        if self._running is None:
            running = RunningServer(
                self._settings, start=self._start, seed=self._seed, receiver=self.receiver
            )
            running.start()
            self._running = running
        return self

    def stop(self) -> None:
        """Stop, and forget everything."""
        if self._running is not None:
            self._running.stop()
            self._running = None

    def reset(self) -> None:
        """Begin anew at the same address: the notice's account with its SIM, and nothing else."""
        self._server.reset()
        self._expected.clear()

    def __enter__(self) -> Self:
        """Start to serve."""
        return self.start()

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.stop()

    # ---- what an application is configured with --------------------------------------------------

    @property
    def base_url(self) -> str:
        """Where the APIs are: `client.supersim.base_url` of the official client."""
        return self._server.base_url

    @property
    def account_sid(self) -> str:
        """The SID of the account that there is from the start."""
        return self._server.seed.account.sid

    @property
    def auth_token(self) -> str:
        """Its Auth Token: signs in, and signs callbacks from Twilio's infrastructure."""
        return self._server.seed.account.auth_token

    @property
    def api_key(self) -> tuple[str, str]:
        """The SID of an API key, and its secret."""
        key = self._server.seed.api_key
        return key.key.sid, key.secret

    @property
    def kore_secret(self) -> str:
        """The webhook secret that signs callbacks from KORE's infrastructure."""
        return self._server.seed.account.kore_secret

    @property
    def sim_sid(self) -> str:
        """The SID of the SIM that there is from the start; it is active, and in a fleet."""
        return self._server.seed.sim_sid

    @property
    def wireless_base_url(self) -> str:
        """Where Programmable Wireless is: `client.wireless.base_url` of the official client."""
        return f"{self.base_url}/wireless"

    @property
    def wireless_sim_sid(self) -> str:
        """The SID of the Programmable Wireless SIM that there is from the start; it is active."""
        return self._server.seed.wireless_sim_sid

    @property
    def gateway(self) -> tuple[str, int] | None:
        """Where a device's program sends its datagrams; None without the setting `gateway`."""
        gateway = self._server.application.workers.network.gateway
        return None if gateway is None else gateway.address

    # ---- time, devices, scenarios ----------------------------------------------------------------

    @property
    def now(self) -> datetime:
        """The instant at which its clock stands."""
        return self._server.application.api.dependencies.clock.now()

    def advance(self, by: str | timedelta) -> datetime:
        """Let time pass, `3d` say: all that comes due is done, in order; return what time it is."""
        duration = read_duration(by) if isinstance(by, str) else by
        clock_advancer = self._server.application.workers.clock_advancer
        if clock_advancer is None:
            raise RuntimeError("an emulator has a clock that can be advanced")
        return self._server.call(clock_advancer.advance(duration))

    def device(self, sim: str | None = None) -> Device:
        """Return what plays a SIM's device: the first SIM's, or that with this SID or name."""
        return Device(self.account_sid, sim or self.sim_sid, self._change, self._look_at)

    def register_wireless_sim(self, *, iccid: str | None = None, narrowband: bool = False) -> str:
        """Register a new Programmable Wireless SIM, which its API can't do; return its SID."""

        def register(tx: Transaction, context: OperationContext) -> str:
            number = iccid or make_iccid(context.random_source.bytes(8))
            card = SimCardRegistration(number, is_narrowband=narrowband)
            return register_sim(tx, self.account_sid, card, context).sid

        return self._change(register)

    def scenario(self, name: str, *, sim: str | None = None) -> None:
        """Have the network behave like this towards a SIM, or towards the whole account."""
        chosen = scenario_called(name)
        self._change(lambda tx, _: choose_scenario(tx, self.account_sid, sim=sim, scenario=chosen))

    # ---- callbacks -------------------------------------------------------------------------------

    def callbacks(self) -> list[SentCallback]:
        """Return the callbacks so far, the oldest first, once nothing more happens by itself."""
        return self._look_at(lambda tx, _: self._sent(tx))

    def expect_callback(
        self,
        *,
        source: str | None = None,
        url: str | None = None,
        method: str | None = None,
        status: str | None = "delivered",
        within: float = 5,
        **parameters: str,
    ) -> SentCallback:
        """Return the oldest callback that is like this, and wasn't expected before.

        `parameters` are what it tells: `SimStatus="active"`. `url` is its URL, with or without the
        fragment; `status` is where it has to be on its way, None for anywhere. Raises
        AssertionError, with all that there are, where none comes within so many seconds.
        """
        expected = ExpectedCallback(parameters, source, url, method, status)
        found, others = self._server.call(self._wait_for(expected, within))
        if found is None:
            raise AssertionError(
                f"no callback like this came within {within:g} s: {expected}; there are:"
                f"{in_lines(others)}"
            )
        self._expected.add(found.sid)
        return found

    def expect_no_callback(self) -> None:
        """Check that no callback came that wasn't expected; raises AssertionError with those."""
        unexpected = [one for one in self.callbacks() if one.sid not in self._expected]
        if unexpected:
            raise AssertionError(f"callbacks that nobody expected:{in_lines(unexpected)}")

    # ---- within ----------------------------------------------------------------------------------

    @property
    def _server(self) -> RunningServer:
        if self._running is None:
            raise RuntimeError("the emulator is not started; use `with Emulator() as ringback:`")
        return self._running

    def _change(self, work: Callable[[Transaction, OperationContext], T]) -> T:
        return self._server.call(self._run(work))

    def _look_at(self, work: Callable[[Transaction, OperationContext], T]) -> T:
        async def look() -> T:
            await self._stillness()
            return await self._run(work)

        return self._server.call(look())

    async def _stillness(self) -> None:
        clock_advancer = self._server.application.workers.clock_advancer
        if clock_advancer is not None:
            await clock_advancer.stillness()

    async def _run(self, work: Callable[[Transaction, OperationContext], T]) -> T:
        dependencies = self._server.application.api.dependencies
        context = dependencies.context()
        result = await dependencies.store.transact(lambda tx: work(tx, context))
        dependencies.task_runner.wake()
        return result

    async def _wait_for(
        self, expected: ExpectedCallback, within: float
    ) -> tuple[SentCallback | None, list[SentCallback]]:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within
        while True:
            callbacks = await self._server.application.api.dependencies.store.transact(self._sent)
            for callback in callbacks:
                if callback.sid not in self._expected and expected.fits(callback):
                    return callback, callbacks
            if loop.time() >= deadline:
                return None, callbacks
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)

    def _sent(self, tx: Transaction) -> list[SentCallback]:
        newest = tx.callbacks.page(self.account_sid, CallbackFilter(), PageWindow(_MOST))
        return [sent(one, tx.callbacks.attempts(one.sid)) for one in reversed(newest)]
