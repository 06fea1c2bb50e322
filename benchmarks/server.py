"""`ringback serve` as a customer runs it: a process, an account, and its HTTP API."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import tempfile
import time
from base64 import b64encode
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from secrets import token_hex
from typing import Any, Final, Self
from urllib.parse import urlencode, urlsplit

from benchmarks.processes import NO_VARIABLES, BenchmarkFailed, Product, pinned, run_json

_HERE: Final = Path(__file__).parent
_CALLBACKS: Final = "/portal/v1/callbacks"
_UNSETTLED: Final = f"{_CALLBACKS}?Status=scheduled&PageSize=1"
OPTIONS: Final = ("--allow", "loopback", "--schedule", "faithful", "--drain", "1s")
_JSON: Final = "Content-Type: application/json"
_STARTS_WITHIN: Final = 120.0
_STOPS_WITHIN: Final = 60.0
_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class Server:
    """A running server; `place` is its `host:port`."""

    place: str
    credentials: str
    pid: int
    started_in: float
    """Seconds from the command until the server was ready."""

    def as_account(self, sid: str, auth_token: str) -> Self:
        """Return the same server, used with this account's credentials."""
        return replace(self, credentials=_basic(sid, auth_token))

    def get(self, path: str) -> bytes:
        """Return the bytes of a request that reads this path."""
        return self._request("GET", path, b"")

    def post(self, path: str, **form: str) -> bytes:
        """Return the bytes of a request that posts a form to this path."""
        kind = "Content-Type: application/x-www-form-urlencoded"
        return self._request("POST", path, urlencode(form).encode(), kind=kind)

    def create_one(self, callback: Mapping[str, Any], *headers: str) -> bytes:
        """Return the bytes of a request that creates a callback."""
        return self._request("POST", _CALLBACKS, json.dumps(callback).encode(), *headers)

    def create_many(self, callbacks: Sequence[Mapping[str, Any]]) -> bytes:
        """Return the bytes of a request that creates a batch of callbacks."""
        return self._request("POST", _CALLBACKS, json.dumps({"callbacks": callbacks}).encode())

    async def until_settled(self, *, within: float) -> None:
        """Wait until no callback is waiting or in progress."""
        deadline = time.monotonic() + within
        while (await self.ask(self.get(_UNSETTLED)))["callbacks"]:
            if time.monotonic() > deadline:
                raise BenchmarkFailed(f"callbacks were still not settled after {within:g} s")
            await asyncio.sleep(0.02)

    async def ask(self, request: bytes) -> Any:
        """Send a request on a connection of its own; return the JSON of its answer."""
        reader, writer = await asyncio.open_connection(*self.place.rsplit(":", 1))
        writer.write(request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1))
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
        if not head.startswith(b"HTTP/1.1 2"):
            asked = request.partition(b" HTTP")[0].decode()
            raise BenchmarkFailed(f"{asked} was answered: {head.decode()} {body.decode()}")
        return json.loads(body)

    def _request(self, method: str, path: str, body: bytes, *more: str, kind: str = _JSON) -> bytes:
        lines = (
            f"{method} {path} HTTP/1.1",
            f"Host: {self.place}",
            f"Authorization: Basic {self.credentials}",
            kind,
            f"Content-Length: {len(body)}",
            *more,
        )
        return "\r\n".join([*lines, "", ""]).encode() + body


def a_callback(url: str, **more: Any) -> dict[str, Any]:
    """Return the JSON body that creates a callback of ordinary size."""
    parameters = {
        "AccountSid": "AC" + "1" * 32,
        "SimSid": "HS" + "2" * 32,
        "SimUniqueName": "my_super_sim",
        "SimStatus": "active",
    }
    return {"url": url, "method": "POST", "parameters": parameters} | more


def stamped(callback: Mapping[str, Any], number: int) -> dict[str, Any]:
    """Return the callback with a number, by which the receiver reports when it arrived."""
    return {**callback, "parameters": {**callback["parameters"], "Stamp": str(number)}}


async def an_account(
    product: Product,
    folder: Path,
    *,
    cores: frozenset[int],
    variables: Mapping[str, str] = NO_VARIABLES,
) -> str:
    """Create an account in a data folder; return the credentials of its API key.

    If the variables name a database, it is created there.
    """
    # Several servers can use the folder, one after the other, each with an account of its own.
    name = f"client {token_hex(4)}"
    place = () if variables else ("--data", str(folder))
    account = await run_json(
        *_ringback(product, "accounts", "create", name, *place, "--json"),
        cores=cores,
        product=product,
        variables=variables,
    )
    return _basic(account["api_key_sid"], account["api_key_secret"])


async def an_operator(
    product: Product,
    folder: Path | None,
    *,
    cores: frozenset[int],
    variables: Mapping[str, str] = NO_VARIABLES,
) -> str:
    """Create an operator's key in a data folder, or in the database; return its credentials."""
    place = () if folder is None else ("--data", str(folder))
    made = await run_json(
        *_ringback(product, "accounts", "keys", "create", "--operator", *place, "--json"),
        cores=cores,
        product=product,
        variables=variables,
    )
    return _basic(made["sid"], made["secret"])


@contextlib.asynccontextmanager
async def a_server(
    cores: frozenset[int],
    folder: Path | None = None,
    *,
    product: Product,
    is_profiled: bool = False,
    options: Sequence[str] = (),
    most_files: int | None = None,
    variables: Mapping[str, str] = NO_VARIABLES,
) -> AsyncGenerator[Server]:
    """Run a server on a data folder: the given one, or a new one.

    The variables can name a database to use instead. `most_files` is the maximum number of open
    files, connections included. Looking up a name under `hang.invalid` never ends.
    """
    with contextlib.ExitStack() as stack:
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ringback-")))
        credentials = await an_account(product, folder, cores=cores, variables=variables)
        errors = stack.enter_context(tempfile.TemporaryFile())
        began = time.perf_counter()
        with pinned(cores):
            process = await asyncio.create_subprocess_exec(
                *_ringback(
                    product,
                    *("serve", "--port", "0", "--data", str(folder), "--json", *OPTIONS),
                    *options,
                    is_profiled=is_profiled,
                    most_files=most_files,
                ),
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=product.folder,
                env={**os.environ, **variables},
            )
        try:
            place = await _place_of(process)
            yield Server(place, credentials, process.pid, time.perf_counter() - began)
        finally:
            await _stop(process)
            errors.seek(0)
            _show(errors.read().decode(errors="replace"), is_whole=is_profiled)


def _show(log: str, *, is_whole: bool) -> None:
    """Print the server's log: all of it, or only the end if an overloaded server logged a lot."""
    lines = log.splitlines()
    warnings = [line for line in lines if '"level": "info"' not in line]
    shown = lines if is_whole else warnings[-_SHOWN:]
    if len(shown) < len(warnings):
        print(f"the server logged {len(warnings)} warnings and errors; the last are:")
    print(*shown, sep="\n", end="\n" if shown else "", flush=True)


def _basic(user: str, password: str) -> str:
    return b64encode(f"{user}:{password}".encode()).decode()


def _ringback(
    product: Product, *arguments: str, is_profiled: bool = False, most_files: int | None = None
) -> tuple[str, ...]:
    limited = ("prlimit", f"--nofile={most_files}:{most_files}") if most_files else ()
    # Without -P, the modules of this folder would hide others of the same names.
    profiler = (str(_HERE / "profiling.py"),) if is_profiled else ()
    command = (product.python, "-P", *profiler, str(_HERE / "hanging_names.py"))
    return (*limited, *command, *arguments)


async def _place_of(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(_STARTS_WITHIN):
        line = await process.stdout.readline()
    if not line:
        raise BenchmarkFailed("the server did not start; see its output above")
    return urlsplit(json.loads(line)["base_url"]).netloc


async def _stop(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(_STOPS_WITHIN):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
