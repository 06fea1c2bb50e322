"""`ringback env`: the addresses and credentials of `ringback dev`, as variables of a shell."""

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from ringback.cli.base_command import command
from ringback.cli.options import data_option, prints_record
from ringback.cli.output import Output
from ringback.dev_environment.dev_file import NO_TLS, DevServerDetails

_VARIABLES: Final[Mapping[str, str]] = {
    "BASE_URL": "base_url",
    "ACCOUNT_SID": "account_sid",
    "TWILIO_AUTH_TOKEN": "auth_token",
    "API_KEY": "api_key_sid",
    "API_KEY_SECRET": "api_key_secret",
    "KORE_SECRET": "kore_secret",
    "SIM_SID": "sim_sid",
    "WIRELESS_SIM_SID": "wireless_sim_sid",
    "TLS_URL": "tls_url",
    "CA_FILE": "ca_file",
}
"""The variables that examples use, each with the field of `dev.json` that it is set to."""


@command(
    examples={
        'eval "$(ringback env)"': (
            "Set the variables with the credentials of `ringback dev` in this shell:"
        ),
        "ringback env --json": "Print the credentials of `ringback dev` as JSON:",
    }
)
@data_option
@prints_record
def env(*, data: Path) -> Output:
    """Print the credentials of `ringback dev` as shell variables.

    The examples in the server's banner and in the documentation use these variables: BASE_URL,
    ACCOUNT_SID, API_KEY, API_KEY_SECRET, TWILIO_AUTH_TOKEN, KORE_SECRET, SIM_SID and
    WIRELESS_SIM_SID. With `ringback dev --tls`, there are TLS_URL and CA_FILE too.
    """
    dev = DevServerDetails.read(data)
    values = {
        name: value
        for name, field in _VARIABLES.items()
        if (value := getattr(dev, field)) != NO_TLS
    }
    return values, [f"export {name}={_quoted(value)}" for name, value in values.items()]


def _quoted(value: str) -> str:
    """Return a value as bash and zsh read it, all of it printable: a path can have any bytes."""
    if value.isprintable():
        return shlex.quote(value)
    return f"$'{''.join(map(_escaped, os.fsencode(value)))}'"


def _escaped(byte: int) -> str:
    is_plain = 0x20 <= byte < 0x7F and chr(byte) not in "'\\"
    return chr(byte) if is_plain else f"\\x{byte:02x}"
