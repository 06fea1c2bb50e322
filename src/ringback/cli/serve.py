"""`ringback serve`: the server in production, without a first account and with today's date."""

import logging
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

from ringback.cli.base_command import command, option_group
from ringback.cli.options import (
    accept_data_loss_option,
    json_flag,
    serve_copied_option,
    settings_options,
)
from ringback.cli.output import echo, json_line
from ringback.core.errors import RingbackError
from ringback.settings import ENVIRONMENT
from ringback.settings.setting_definitions import ServerCommand

if TYPE_CHECKING:
    import asyncio
    import socket

    from ringback.application import ServerProcess
    from ringback.policy.policy_reloader import PolicyReloader
    from ringback.runtime.server_certificate import ServerCertificate
    from ringback.settings.settings import Settings

# The help is quicker without the imports of a whole server, so the functions make them.

_log = logging.getLogger(__name__)


@command(
    examples={
        "ringback serve --data live-data": (
            "Start a server with the default settings and the data folder live-data."
        ),
        "ringback serve --settings ringback.toml --data live-data": (
            "Start a server with a settings file, which `ringback init` writes."
        ),
    }
)
@settings_options(ServerCommand.SERVE)
@option_group(
    "Start",
    accept_data_loss_option,
    serve_copied_option,
    json_flag("Print one JSON object with the server's address when it has started."),
)
def serve(*, accept_data_loss: bool, serve_copied: bool, as_json: bool, **flags: Any) -> None:
    """Run a Ringback server in production.

    The server starts without an account: `ringback accounts create` makes one, also while it runs.
    A settings file is not needed. Each setting can also be given as an environment variable, such
    as RINGBACK_PORT for --port, or in a settings file, which `ringback init` writes.
    """
    from ringback.runtime.os_error_messages import refuse_windows

    refuse_windows("`ringback serve`")
    import uvloop

    from ringback.api.serve_on_socket import passed_descriptor
    from ringback.cli.log_output import log_to_stderr
    from ringback.settings.settings_reloader import SettingsReloader

    # Also an error in the settings is logged, so the log can't wait for them.
    log_to_stderr(flags["log_format"] or ENVIRONMENT.get("RINGBACK_LOG_FORMAT", ""), "info")
    try:
        origin = SettingsReloader(flags, ENVIRONMENT, ServerCommand.SERVE)
        settings = origin.load()
        log_to_stderr(settings.log_format, settings.log_level)
        descriptor = passed_descriptor(ENVIRONMENT, settings.fd)
        with _listener_of(settings, descriptor) as listener:
            # Imported only now: from here on, requests wait instead of being refused.
            from ringback.application import ServerProcess
            from ringback.application.storage import DatabaseWait
            from ringback.cli.server_runner import ServerBeforeStart, serve_until_stopped
            from ringback.runtime.interpreter_tuning import write_no_bytecode

            certificate = _certificate_of(settings)

            async def start(stop: "asyncio.Event") -> ServerProcess:
                before = ServerBeforeStart(listener if descriptor is None else None, certificate)
                try:
                    application = await ServerProcess.start(
                        settings,
                        origin=origin,
                        accept_data_loss=accept_data_loss,
                        serve_copied=serve_copied,
                        wait=DatabaseWait(stop, before.not_ready),
                    )
                finally:
                    await before.end()
                # Neither is for `ringback dev`: with bytecode, later imports take half the time;
                # and a terminal that closes sends SIGHUP too, which ends it.
                write_no_bytecode()
                _look_on_hangup(application.workers.policy_reloader, certificate)
                return application

            announce = partial(_announce, settings, as_json=as_json)
            uvloop.run(
                serve_until_stopped(
                    settings, listener, start=start, announce=announce, certificate=certificate
                )
            )
    except RingbackError as refusal:
        _log.error("%s", refusal)
        sys.exit(1)


def _listener_of(settings: "Settings", descriptor: int | None) -> "socket.socket":
    from ringback.api.serve_on_socket import bind, take_over

    return bind(settings.host, settings.port) if descriptor is None else take_over(descriptor)


def _certificate_of(settings: "Settings") -> "ServerCertificate | None":
    if settings.tls_cert is None or settings.tls_key is None:
        return None

    from ringback.runtime.server_certificate import ServerCertificate
    from ringback.runtime.system_clock import SystemClock

    return ServerCertificate(settings.tls_cert, settings.tls_key, clock=SystemClock())


def _look_on_hangup(
    policy_reloader: "PolicyReloader | None", certificate: "ServerCertificate | None"
) -> None:
    """On each SIGHUP, check at once if the watched files (settings, certificate) have changed."""
    from ringback.cli.signals import on_hangup

    looks = [each.look_now for each in (policy_reloader, certificate) if each is not None]

    def look() -> None:
        for look_now in looks:
            look_now()

    if looks:
        on_hangup(look)


async def _announce(
    settings: "Settings", application: "ServerProcess", base_url: str, *, as_json: bool
) -> None:
    from ringback import __version__
    from ringback.data_folder import DATA_FILE
    from ringback.runtime.database_address import parse_database_address, shown_database
    from ringback.runtime.open_files import open_files_limit

    started = {"base_url": base_url}
    if settings.database is None:
        started["data_file"] = str(settings.data / DATA_FILE)
    else:
        shown = shown_database(parse_database_address(settings.database))
        started |= {"database": shown, "role": settings.role}
    started["phase"] = application.phase.name
    if (pause := application.process.gate.pause) is not None:
        started["paused"] = pause.reason
    if as_json:
        echo(json_line(started))
    if near := application.workers.policy_monitor.near_in_words():
        started["borders"] = "; ".join(near)
    extra = {
        **started,
        "open_files": open_files_limit(),
        "client_connections": application.process.shares.incoming,
        "sending_connections": application.process.shares.outgoing,
        "schedule": settings.schedule.in_words,
        "version": __version__,
    }
    _log.info("serving at %s", base_url, extra=extra)
