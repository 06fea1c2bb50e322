"""`ringback dev`: the whole system on a laptop, in one process and one file."""

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Any

import click
import uvloop

from ringback.api.server import base_url_of, bind, serve
from ringback.cli.banner import banner
from ringback.cli.dev_file import DevFile
from ringback.cli.signals import event_of_signals
from ringback.ports import no_checkpoint
from ringback.settings import ENVIRONMENT, SETTINGS, Settings, load
from ringback.wiring import DATA_FILE, Parts


def _with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command a flag for each setting."""
    for setting in reversed(SETTINGS):
        default = f"  [default: {setting.default}]" if setting.default else ""
        option = click.option(
            setting.flag, setting.name, metavar=setting.metavar, help=setting.help + default
        )
        command = option(command)
    return command


@click.command()
@_with_settings
@click.option("--settings", metavar="FILE", help="A TOML file with settings, phases and holds.")
@click.option("--json", "as_json", is_flag=True, help="Print dev.json as one line, no banner.")
def dev(*, as_json: bool, **flags: Any) -> None:
    """Serve the Super SIM API with real, signed callbacks from both sources.

    Each setting can also be given as RINGBACK_NAME in the environment, or in a settings file.
    """
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    settings = load(flags, ENVIRONMENT)
    listener = bind(settings.host, settings.port)
    with listener:
        uvloop.run(run(settings, listener, as_json=as_json))


async def run(
    settings: Settings,
    listener: socket.socket,
    *,
    as_json: bool,
    checkpoint: Callable[[str], None] = no_checkpoint,
) -> None:
    """Start everything, say so, and serve until a signal says to stop."""
    # Before anybody is told that there is something to stop.
    stop = event_of_signals()
    parts = await Parts.start(settings, checkpoint=checkpoint)
    try:
        dev_file = _dev_file(settings, parts, base_url_of(listener))
        dev_file.write(settings.data)
        click.echo(dev_file.to_line() if as_json else banner(dev_file, settings, parts.phase))
        await _serve(parts, listener, stop)
    finally:
        await parts.stop()


async def _serve(parts: Parts, listener: socket.socket, stop: asyncio.Event) -> None:
    """Serve until told to stop, or the engine fails."""
    watching = asyncio.create_task(parts.supervisor.watch())
    watching.add_done_callback(lambda _: stop.set())
    await serve(parts.app, listener, until=stop)
    if watching.done():
        await watching
    watching.cancel()


def _dev_file(settings: Settings, parts: Parts, base_url: str) -> DevFile:
    seed = parts.seed
    return DevFile(
        base_url=base_url,
        account_sid=seed.account.sid,
        auth_token=seed.account.auth_token,
        api_key_sid=seed.api_key.sid,
        api_key_secret=seed.api_key.secret,
        kore_secret=seed.account.kore_secret,
        sim_sid=seed.sim_sid,
        phase=parts.phase.name,
        data_file=str(settings.data / DATA_FILE),
    )
