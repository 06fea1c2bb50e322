"""The emulator: a Ringback in the test's own process, which the test controls."""

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
from ringback.runtime.os_error_messages import refuse_windows
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
    """Serves the SIM APIs on a free local port, from a thread of this process.

    The emulator's clock stands still until `advance` is called, and its network has no delays. So a
    test always sees all effects of its actions. The same `seed` always gives the same SIDs, tokens
    and secrets.
    """

    def __init__(
        self,
        *,
        settings: Mapping[str, str] = _NOTHING,
        start: datetime | None = None,
        seed: int = 0,
    ) -> None:
        """Prepare an emulator; `start` or `with` starts it.

        `settings` are settings of `ringback dev`, named like its flags but with underscores:
        `{"phase": "after", "schedule": "persistent"}`. `start` is the time at which the clock
        stands first, with a time zone; the default is the current time.
        """
        self.receiver = RecordingReceiver()
        """A receiver for callbacks, for applications that have none of their own."""
        self._settings = settings
        self._start = start or SystemClock().now().replace(microsecond=0)
        self._seed = seed
        self._expected = set[str]()
        self._running: RunningServer | None = None

    # ---- starting and stopping -------------------------------------------------------------------

    def start(self) -> Self:
        """Start to serve, and return the emulator.

        Raises ConfigurationError if a setting can't be used, or on Windows.
        """
        refuse_windows("the emulator")
        if self._running is None:
            running = RunningServer(
                self._settings, start=self._start, seed=self._seed, receiver=self.receiver
            )
            running.start()
            self._running = running
        return self

    def stop(self) -> None:
        """Stop serving, and delete all data."""
        if self._running is not None:
            self._running.stop()
            self._running = None

    def reset(self) -> None:
        """Delete all data except the initial account and SIMs; URLs and secrets stay the same."""
        self._server.reset()
        self._expected.clear()

    def __enter__(self) -> Self:
        """Start to serve, and return the emulator."""
        return self.start()

    def __exit__(self, *_: object) -> None:
        """Stop serving, and delete all data."""
        self.stop()

    # ---- values for the configuration of an application ------------------------------------------

    @property
    def base_url(self) -> str:
        """The base URL of the APIs: set the official client's `client.supersim.base_url` to it."""
        return self._server.base_url

    @property
    def account_sid(self) -> str:
        """The SID of the account that exists from the start."""
        return self._server.seed.account.sid

    @property
    def auth_token(self) -> str:
        """The account's Auth Token: the API password, which also signs Twilio's callbacks."""
        return self._server.seed.account.auth_token

    @property
    def api_key(self) -> tuple[str, str]:
        """The SID and the secret of an API key of the account."""
        key = self._server.seed.api_key
        return key.key.sid, key.secret

    @property
    def kore_secret(self) -> str:
        """The webhook secret that signs callbacks from KORE's infrastructure."""
        return self._server.seed.account.kore_secret

    @property
    def sim_sid(self) -> str:
        """The SID of the Super SIM that exists from the start, active and in a fleet."""
        return self._server.seed.sim_sid

    @property
    def wireless_base_url(self) -> str:
        """The base URL of Programmable Wireless, for the client's `client.wireless.base_url`."""
        return f"{self.base_url}/wireless"

    @property
    def wireless_sim_sid(self) -> str:
        """The SID of the active Programmable Wireless SIM that exists from the start."""
        return self._server.seed.wireless_sim_sid

    @property
    def gateway(self) -> tuple[str, int] | None:
        """The host and port for datagrams from devices; None if `gateway` isn't set."""
        gateway = self._server.application.workers.network.gateway
        return None if gateway is None else gateway.address

    # ---- time, devices, scenarios ----------------------------------------------------------------

    @property
    def now(self) -> datetime:
        """The time that the emulator's clock shows."""
        return self._server.application.api.dependencies.clock.now()

    def advance(self, by: str | timedelta) -> datetime:
        """Advance the clock, for example by `3d`, and return the new time.

        All retries and scheduled changes that come due happen, in order.
        """
        duration = read_duration(by) if isinstance(by, str) else by
        clock_advancer = self._server.application.workers.clock_advancer
        if clock_advancer is None:
            raise RuntimeError(
                "the emulator's clock can't be advanced, because its server runs"
                " without an adjustable clock"
            )
        return self._server.call(clock_advancer.advance(duration))

    def device(self, sim: str | None = None) -> Device:
        """Return the device of the SIM with this SID or unique name; by default, of `sim_sid`."""
        return Device(self.account_sid, sim or self.sim_sid, self._change, self._look_at)

    def register_wireless_sim(self, *, iccid: str | None = None, narrowband: bool = False) -> str:
        """Register a Programmable Wireless SIM, and return its SID; the API can't register any."""

        def register(tx: Transaction, context: OperationContext) -> str:
            number = iccid or make_iccid(context.random_source.bytes(8))
            card = SimCardRegistration(number, is_narrowband=narrowband)
            return register_sim(tx, self.account_sid, card, context).sid

        return self._change(register)

    def scenario(self, name: str, *, sim: str | None = None) -> None:
        """Choose a network scenario, such as `unattached`, for a SIM or for the account."""
        chosen = scenario_called(name)
        self._change(
            lambda tx, context: choose_scenario(
                tx, self.account_sid, sim=sim, scenario=chosen, context=context
            )
        )

    # ---- callbacks -------------------------------------------------------------------------------

    def callbacks(self) -> list[SentCallback]:
        """Finish all pending work, and return all callbacks so far, oldest first."""
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
        """Wait for a matching callback that no earlier call returned, and return it.

        `parameters` are parameters of the callback, for example `SimStatus="active"`. `url` is its
        URL, with or without the fragment. `status` is its delivery status; None matches any.

        If several callbacks match, returns the oldest. Raises AssertionError, with a list of all
        callbacks, if none matches within `within` seconds.
        """
        expected = ExpectedCallback(parameters, source, url, method, status)
        found, others = self._server.call(self._wait_for(expected, within))
        if found is None:
            raise AssertionError(
                f"no callback like this came within {within:g} s: {expected}; all callbacks:"
                f"{in_lines(others)}"
            )
        self._expected.add(found.sid)
        return found

    def expect_no_callback(self) -> None:
        """Raise AssertionError if there are callbacks that `expect_callback` hasn't returned."""
        unexpected = [one for one in self.callbacks() if one.sid not in self._expected]
        if unexpected:
            raise AssertionError(f"unexpected callbacks:{in_lines(unexpected)}")

    # ---- internals -------------------------------------------------------------------------------

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
