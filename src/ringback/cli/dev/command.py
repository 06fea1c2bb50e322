"""`ringback dev`: the whole system on a laptop, in one process and one file."""

from functools import partial
from typing import Any

from ringback.cli.base_command import command, option, option_group
from ringback.cli.options import accept_data_loss_option, json_flag, settings_options
from ringback.settings import ENVIRONMENT
from ringback.settings.setting_definitions import ServerCommand


@command(
    examples={
        "ringback dev": "Start the server; its banner shows what to do next. Ctrl-C stops it:",
        "ringback dev --open": "Start the server, and open its console in the browser:",
        "ringback dev --phase between": (
            "Start in `between`, the second phase of the transition from twilio to kore:"
        ),
        "ringback dev --at 2024-10-15": (
            "Start on a date, in the phase of the transition to kore at that date:"
        ),
        "ringback dev --schedule 5s,1m,10m": (
            "Retry a failed callback up to three times, after 5 s, 1 min and 10 min:"
        ),
    }
)
@settings_options(ServerCommand.DEV)
@option_group(
    "Start",
    accept_data_loss_option,
    option(
        "--open",
        "opens_console",
        is_flag=True,
        help="Open the console in the browser: the pages on which you see each callback.",
    ),
    json_flag("Print the addresses and credentials as one line of JSON instead of the banner."),
)
def dev(*, accept_data_loss: bool, opens_console: bool, as_json: bool, **flags: Any) -> None:
    """Run a local SIM platform that sends real, signed callbacks.

    The server simulates the SIM platforms of Twilio and KORE on your machine. At its first
    start, it creates an example account with SIMs. It writes the account's credentials to dev.json
    in its data folder, where the other commands find them. You can give a setting as an option, in
    a settings file, or as an environment variable, such as RINGBACK_PORT for --port.
    """
    # Not at the top, so that the help does not wait for a whole server to be imported.
    from ringback.runtime.os_error_messages import refuse_windows

    refuse_windows("`ringback dev`")
    import uvloop

    from ringback.api.serve_on_socket import reserve
    from ringback.application import ServerProcess
    from ringback.cli.dev.server import run
    from ringback.cli.log_output import log_to_stderr
    from ringback.dev_environment.dev_https import https_of
    from ringback.settings.settings_reloader import SettingsReloader

    origin = SettingsReloader(flags, ENVIRONMENT, ServerCommand.DEV)
    settings = origin.load()
    log_to_stderr(settings.log_format, settings.log_level)
    with reserve(settings.host, settings.port) as listener, https_of(settings) as https:
        start = partial(ServerProcess.start, origin=origin, accept_data_loss=accept_data_loss)
        served = run(
            *(settings, listener),
            as_json=as_json,
            opens_console=opens_console,
            https=https,
            start=start,
        )
        uvloop.run(served)
