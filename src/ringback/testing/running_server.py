"""The server of an emulator: everything that `ringback dev` runs, in a separate thread."""

import asyncio
import shutil
from collections.abc import Coroutine, Mapping
from dataclasses import replace
from datetime import datetime
from hashlib import shake_128
from itertools import count
from pathlib import Path
from tempfile import mkdtemp
from threading import Thread
from typing import Any, TypeVar

from starlette.types import Receive, Scope, Send

from ringback.api.serve_on_socket import base_url_of, bind, serve
from ringback.application import ServerProcess
from ringback.core.accounts.account import EVERY
from ringback.core.retention import KINDS, TimeSubject
from ringback.operations.seed_data import SeededAccount, find_or_seed
from ringback.runtime.undo import on_failure
from ringback.runtime.virtual_clock import VirtualClock
from ringback.settings.load import load
from ringback.settings.setting_definitions import ServerCommand
from ringback.settings.settings import Settings
from ringback.testing.recording_receiver import RecordingReceiver


class SeededRandomSource:
    """Implements `ports.RandomSource` with reproducible bytes; not for real secrets."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._numbers = count()

    def bytes(self, count: int) -> bytes:
        """Return the next `count` bytes of the seed's sequence."""
        return shake_128(f"{self._seed} {next(self._numbers)}".encode()).digest(count)


T = TypeVar("T")


class RunningServer:
    """The server of an emulator, with its thread, data folder and receiver."""

    def __init__(
        self,
        settings: Mapping[str, str],
        *,
        start: datetime,
        seed: int,
        receiver: RecordingReceiver,
    ) -> None:
        self._given = settings
        self._start = start
        self._seed = seed
        self._receiver = receiver
        self._loop = asyncio.new_event_loop()
        # A test and its application may block, so the server needs a thread of its own.
        self._thread = Thread(target=self._run, name="ringback-emulator", daemon=True)
        self._listener = bind("127.0.0.1", int(settings.get("port", "0")))
        self.base_url = base_url_of(self._listener)
        self._folder = Path(mkdtemp(prefix="ringback-"))
        self._until = asyncio.Event()
        self._serving: asyncio.Task[None] | None = None
        self.application: ServerProcess
        self.seed: SeededAccount

    def start(self) -> None:
        """Start the thread, server and receiver; raises ConfigurationError for bad settings."""
        self._thread.start()
        with on_failure(self._let_go):
            self.call(self._open())

    def stop(self) -> None:
        """Stop the server and the receiver, and delete all data."""
        try:
            self.call(self._close())
        finally:
            self._let_go()

    def reset(self) -> None:
        """Delete all data, and start again at the same address with the same SIDs and secrets."""
        self.call(self._reset())

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the server's thread, and return its result."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def _let_go(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._listener.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    async def _open(self) -> None:
        await self._start_application()
        await self._receiver.open()
        self._serving = asyncio.create_task(serve(self._hand_on, self._listener, until=self._until))

    async def _hand_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request to the current application, which each reset replaces."""
        await self.application.api.app(scope, receive, send)

    async def _close(self) -> None:
        self._until.set()
        if self._serving is not None:
            await self._serving
        await self._receiver.close()
        await self.application.stop()

    async def _reset(self) -> None:
        await self.application.stop()
        shutil.rmtree(self._folder)
        self._receiver.reset()
        await self._start_application()

    async def _start_application(self) -> None:
        settings = self._settings()
        clock = VirtualClock.stopped(self._start)
        random_source = SeededRandomSource(self._seed)
        self.application = application = await ServerProcess.start(
            settings, clock=clock, random_source=random_source
        )
        context = application.api.dependencies.context()
        self.seed = await application.storage.store.transact(
            lambda tx: find_or_seed(tx, context, uses_static_proxy=settings.static_proxy)
        )

    def _settings(self) -> Settings:
        # No delays and no spontaneous events, so that a test sees all effects at once.
        given = {"update_takes": "0s", "gateway": "none", "data_per_day": "0", "drain": "0s"}
        fixed = {"data": str(self._folder), "seed": str(self._seed)}
        settings = load({**given, **self._given, **fixed}, {}, command=ServerCommand.DEV)
        # A test may set its clock ahead by years, and look at what was sent before.
        forever = dict.fromkeys((TimeSubject(EVERY, kind) for kind in KINDS), None)
        return replace(settings, retention={**forever, **settings.retention})
