"""The machine's own resolver: one lookup per name at a time, in threads that may hang."""

import asyncio
import errno
import socket
import threading

import pytest

from ringback.http_client import system_resolver
from ringback.http_client.system_resolver import SystemResolver
from ringback.runtime import open_files
from tests.descriptors import limited_to


class Machine:
    """A resolver that blocks until the test releases it."""

    def __init__(self) -> None:
        self.asked = list[str]()
        self.released = threading.Event()

    def __call__(self, host: str) -> list[str]:
        self.asked.append(host)
        self.released.wait(timeout=10)
        return ["192.0.2.1"]


async def test_a_name_is_looked_up_once_at_a_time() -> None:
    machine = Machine()
    resolve = SystemResolver(machine)
    both = asyncio.gather(resolve("hooks.example"), resolve("hooks.example"))
    await asyncio.sleep(0)
    machine.released.set()
    assert await both == [["192.0.2.1"]] * 2
    assert machine.asked == ["hooks.example"]


async def test_a_cancelled_caller_does_not_affect_the_next_one() -> None:
    machine = Machine()
    resolve = SystemResolver(machine)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await resolve("hooks.example")
    patient = asyncio.create_task(resolve("hooks.example"))
    await asyncio.sleep(0)
    machine.released.set()
    assert await patient == ["192.0.2.1"]
    assert machine.asked == ["hooks.example"], "the thread that hung has answered"


async def test_a_lookup_is_in_progress_until_its_thread_ends_even_if_nobody_waits() -> None:
    machine = Machine()
    resolve = SystemResolver(machine)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await resolve("hooks.example")
    goes_on = resolve.under_way("hooks.example")
    assert goes_on is not None
    machine.released.set()
    assert await asyncio.wrap_future(goes_on) == ["192.0.2.1"]
    assert resolve.under_way("hooks.example") is None


@pytest.mark.parametrize("error", [OSError("no such name"), UnicodeError("no name"), KeyError(1)])
async def test_all_callers_get_an_error(error: Exception) -> None:
    def fail(host: str) -> list[str]:
        raise error

    resolve = SystemResolver(fail)
    for _ in range(2):
        with pytest.raises(type(error)):
            await resolve("hooks.example")


async def test_the_machine_itself_reads_an_address_in_any_spelling() -> None:
    assert await SystemResolver()("0x7f.1") == ["127.0.0.1"]


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1"])
async def test_an_address_needs_no_lookup(address: str) -> None:
    assert await SystemResolver(_refuse)(address) == [address]


@pytest.mark.parametrize("host", ["192.0.2.01", "2001:DB8::1", "a.example"])
async def test_any_other_spelling_is_left_to_the_machine(host: str) -> None:
    with pytest.raises(OSError, match=f"asked for {host}"):
        await SystemResolver(_refuse)(host)


def _refuse(host: str) -> list[str]:
    raise OSError(f"asked for {host}")


def test_an_unknown_name_is_distinguished_from_a_machine_without_descriptors(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The C library reports both as an unknown name.
    def no_such_name(*_: object, **__: object) -> list[object]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    def no_descriptor(*_: object) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(system_resolver.socket, "getaddrinfo", no_such_name)
    with pytest.raises(socket.gaierror):
        system_resolver.ask_system("a.example")
    monkeypatch.setattr(open_files.os, "open", no_descriptor)
    with pytest.raises(OSError, match="Too many open files"):
        system_resolver.ask_system("a.example")


@pytest.mark.parametrize(
    "misleading",
    [
        # What glibc reports if it can't open its files, or a socket to ask a name server.
        socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
        socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"),
        OSError(0, "Error"),
    ],
)
@pytest.mark.parametrize(("failing", "limit"), [(2, 64), (3, 64), (1, None)])
def test_a_name_is_unknown_only_after_failures_that_no_shortage_can_explain(
    monkeypatch: pytest.MonkeyPatch, misleading: OSError, failing: int, limit: int | None
) -> None:
    asked = list[str]()

    def look_up(host: str, *_: object, **__: object) -> list[object]:
        asked.append(host)
        if len(asked) <= failing:
            raise misleading
        return [(0, 0, 0, "", ("192.0.2.1", 0))]

    monkeypatch.setattr(system_resolver.socket, "getaddrinfo", look_up)
    # With this many in its table of files, the process may have had 64 open, but not 4096.
    monkeypatch.setattr(open_files.Path, "read_text", lambda _: "FDSize:\t64\n")
    with limited_to(limit or 4096):
        if failing < 3 and limit is not None:
            assert system_resolver.ask_system("a.example") == ["192.0.2.1"]
        else:
            with pytest.raises(type(misleading)):
                system_resolver.ask_system("a.example")
    assert len(asked) == (3 if limit is not None else 1)


async def test_a_machine_without_threads_lacks_memory_and_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def start(self: object) -> None:
        raise RuntimeError("can't start new thread")

    resolve = SystemResolver(lambda host: ["192.0.2.1"])
    with monkeypatch.context() as without:
        without.setattr(system_resolver.Thread, "start", start)
        with pytest.raises(OSError, match="new thread") as failed:
            await resolve("a.example")
    assert failed.value.errno == errno.ENOMEM
    assert await resolve("a.example") == ["192.0.2.1"]
