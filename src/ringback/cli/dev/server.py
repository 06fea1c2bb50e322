"""The server of `ringback dev`: the whole system in one process, with the notice's account."""

import asyncio
import socket
import webbrowser
from collections.abc import Awaitable, Callable
from dataclasses import asdict, replace
from typing import NamedTuple

from ringback.api.serve_on_socket import listen
from ringback.application import ServerProcess
from ringback.cli.dev.banner import banner
from ringback.cli.output import say
from ringback.cli.server_runner import serve_until_stopped
from ringback.console.access import DevAccess
from ringback.data_folder import DATA_FILE
from ringback.dev_environment.clock_file import ClockFile
from ringback.dev_environment.dev_file import (
    NO_GATEWAY,
    NO_TLS,
    DevServerDetails,
    known_keys,
    who_reaches,
)
from ringback.dev_environment.dev_https import DevHttps
from ringback.operations.api_keys import CreatedApiKey
from ringback.operations.seed_data import SeededAccount, find_or_make_operators_key, find_or_seed
from ringback.ports import Transaction
from ringback.runtime.system_clock import SystemClock
from ringback.runtime.virtual_clock import VirtualClock
from ringback.settings.settings import Settings


async def run(
    settings: Settings,
    listener: socket.socket,
    *,
    as_json: bool,
    opens_console: bool = False,
    https: DevHttps | None = None,
    start: Callable[..., Awaitable[ServerProcess]] = ServerProcess.start,
) -> None:
    """Start everything with the notice's account, print the banner, and serve until a signal.

    `start` is called with the settings and the clock. With `opens_console`, the browser shows the
    console. The port opens only after dev.json is
    written, so that each program that can connect can also read it.
    """
    file = ClockFile(settings.data)
    clock = VirtualClock(SystemClock(), ahead=file.read(), keep=file.write)

    async def announce(application: ServerProcess, base_url: str) -> None:
        seed = await seed_account(settings, application)
        dev_file = details_of(settings, application, seed, base_url, https)
        application.api.console.parts.dev = access = console_access(dev_file)
        dev_file = replace(dev_file, console_url=access.url)
        dev_file.write(settings.data)
        listen(listener)
        if https is not None:
            listen(https.listener, flag="--tls-port")
        shown = banner(
            dev_file,
            settings,
            application.phase,
            ahead=clock.ahead,
            near=application.workers.policy_monitor.near_in_words(),
            pause=application.process.gate.pause,
        )
        say(asdict(dev_file), shown, as_json=as_json)
        if opens_console:
            # In a thread: some systems wait until the browser has started.
            await asyncio.to_thread(webbrowser.open, access.url)

    async def start_now(_: asyncio.Event) -> ServerProcess:
        return await start(settings, clock=clock)

    await serve_until_stopped(settings, listener, start=start_now, announce=announce, https=https)


class DevSeed(NamedTuple):
    """The notice's account with its secrets, and an API key of the operator."""

    of_account: SeededAccount
    operators_key: CreatedApiKey


async def seed_account(settings: Settings, application: ServerProcess) -> DevSeed:
    """Return the notice's account and an operator's key; what the data folder lacks is created."""
    context, known = application.api.dependencies.context(), known_keys(settings.data)

    def work(tx: Transaction) -> DevSeed:
        static_proxy = settings.static_proxy
        account = find_or_seed(tx, context, uses_static_proxy=static_proxy, known=known.of_account)
        return DevSeed(account, find_or_make_operators_key(tx, context, known.of_operator))

    return await application.storage.store.transact(work)


def console_access(dev: DevServerDetails) -> DevAccess:
    """Return how people get into the console of this server."""
    return DevAccess(
        base_url=dev.base_url,
        operator_key_sid=dev.operator_key_sid,
        operator_key_secret=dev.operator_key_secret,
        account_sid=dev.account_sid,
        sim_sid=dev.sim_sid,
        wireless_sim_sid=dev.wireless_sim_sid,
    )


def details_of(
    settings: Settings,
    application: ServerProcess,
    seeded: DevSeed,
    base_url: str,
    https: DevHttps | None = None,
) -> DevServerDetails:
    """Return the addresses and the credentials of a running server, for dev.json."""
    seed, operators_key = seeded
    return DevServerDetails(
        base_url=base_url,
        account_sid=seed.account.sid,
        auth_token=seed.account.auth_token,
        api_key_sid=seed.api_key.key.sid,
        api_key_secret=seed.api_key.secret,
        kore_secret=seed.account.kore_secret,
        sim_sid=seed.sim_sid,
        wireless_sim_sid=seed.wireless_sim_sid,
        phase=application.phase.name,
        data_file=str(settings.data / DATA_FILE),
        gateway=application.api.dependencies.gateway or NO_GATEWAY,
        tls_url=NO_TLS if https is None else https.url,
        ca_file=NO_TLS if https is None else str(https.ca_file),
        reachable_from=who_reaches(base_url),
        operator_key_sid=operators_key.key.sid,
        operator_key_secret=operators_key.secret,
    )
