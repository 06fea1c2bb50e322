"""Processes that start quickly, because they are forks of one that has imported the server.

They differ from other processes in two ways: their command line and environment, as other processes
see them, are those of the process that was forked.
"""

import asyncio
import os
import runpy
import signal
import sys
from collections.abc import Mapping, Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import IO

_CONTEXT = get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    [
        "uvloop",
        "ringback.cli.dev.command",
        "ringback.cli.dev.server",
        "ringback.cli.log_output",
        "ringback.cli.main",
        "ringback.cli.serve",
        "ringback.cli.server_runner",
        "ringback.application",
        "ringback.settings.settings_reloader",
    ]
)


class Forked:
    """A `python -m` command with these arguments; methods are named as in asyncio's Process.

    `variables` are added to those of this process.
    """

    def __init__(
        self,
        words: Sequence[str],
        log: IO[bytes] | None = None,
        *,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self._out, out = _CONTEXT.Pipe(duplex=False)
        with out, Connection(os.dup(2 if log is None else log.fileno()), readable=False) as err:
            environment = {**os.environ, **(variables or {})}
            self._process = _CONTEXT.Process(target=_run, args=(words, environment, out, err))
            self._process.start()
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def send_signal(self, sign: int) -> None:
        assert self.pid is not None
        os.kill(self.pid, sign)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    async def wait(self) -> int:
        ended, loop = asyncio.Event(), asyncio.get_running_loop()
        loop.add_reader(self._process.sentinel, ended.set)
        try:
            await ended.wait()
        finally:
            loop.remove_reader(self._process.sentinel)
        self._process.join()
        assert self.returncode is not None
        return self.returncode

    async def first_line(self) -> bytes:
        """Return the first line that it prints; empty if it ends without printing one."""
        with os.fdopen(os.dup(self._out.fileno()), "rb") as printed:
            return await asyncio.to_thread(printed.readline)

    def close(self) -> None:
        """Release its resources, once it has ended or was killed."""
        self._process.join()
        self._out.close()
        self._process.close()


def _run(words: Sequence[str], variables: dict[str, str], out: Connection, err: Connection) -> None:
    for connection, descriptor in ((out, 1), (err, 2)):
        os.dup2(connection.fileno(), descriptor)
        connection.close()
    os.environ.clear()
    os.environ.update(variables)
    module, *sys.argv[1:] = words
    runpy.run_module(module, run_name="__main__", alter_sys=True)
