"""`dev.json`: the address and secrets by which other programs reach a running `ringback dev`."""

import json
import os
from dataclasses import asdict, dataclass, fields
from ipaddress import ip_address
from pathlib import Path
from typing import Final, NamedTuple, Self
from urllib.parse import urlsplit

from ringback.core.errors import ConfigurationError
from ringback.settings.setting_definitions import DATA_FILE

NO_GATEWAY: Final = "none"
NO_TLS: Final = "none"
THIS_MACHINE: Final = "this machine"
NETWORK: Final = "network"


@dataclass(frozen=True, slots=True)
class DevServerDetails:
    """The addresses and secrets of a running `ringback dev`."""

    base_url: str
    account_sid: str
    auth_token: str
    api_key_sid: str
    api_key_secret: str
    kore_secret: str
    sim_sid: str
    wireless_sim_sid: str
    phase: str
    data_file: str
    gateway: str = NO_GATEWAY
    """The address to which devices send datagrams, or `none`."""
    tls_url: str = NO_TLS
    """The HTTPS URL of the server, or `none`."""
    ca_file: str = NO_TLS
    """The file with the CA's certificate, which HTTPS clients must trust, or `none`."""
    reachable_from: str = THIS_MACHINE
    """The machines that can connect: only `this machine`, or all machines in the `network`."""
    operator_key_sid: str = ""
    """The SID of an operator's API key, which commands need to change the policy."""
    operator_key_secret: str = ""
    console_url: str = ""
    """The link that opens the console in a browser, and signs in."""

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Return the contents of `dev.json` in this data folder.

        Raises ConfigurationError if there is no such file, or it is not a valid one.
        """
        path = path_in(folder)
        try:
            given = json.loads(path.read_text("utf-8"))
            # A file of an earlier version lacks new fields, but its API key is still valid.
            names = [field.name for field in fields(cls) if field.name in given]
            return cls(**{name: str(given[name]) for name in names})
        except OSError:
            if (folder / DATA_FILE).exists():
                raise ConfigurationError(
                    f"there is no {path}: {folder} is the data folder of `ringback serve`, which"
                    " commands reach with --server URL, --account-sid SID and the variable"
                    " RINGBACK_AUTH_TOKEN"
                ) from None
            raise ConfigurationError(
                f"there is no {path}: start `ringback dev` (make run) first,"
                " or name its data folder with --data"
            ) from None
        except (TypeError, KeyError, ValueError):
            raise ConfigurationError(
                f"{path} is not a valid dev.json; start `ringback dev` again"
            ) from None

    def write(self, folder: Path) -> None:
        """Write `dev.json` into this data folder; only the file's owner can read it."""
        write_private(path_in(folder), f"{json.dumps(asdict(self), indent=2)}\n")


def who_reaches(base_url: str) -> str:
    """Return the value of `reachable_from`: the machines that can reach a server at this URL."""
    address = ip_address(urlsplit(base_url).hostname or "")
    return THIS_MACHINE if address.is_loopback else NETWORK


def path_in(folder: Path) -> Path:
    """Return the path of `dev.json` in a data folder."""
    return folder / "dev.json"


class KnownApiKeys(NamedTuple):
    """The API keys in `dev.json`, each with its SID and secret; None without a valid file."""

    of_account: tuple[str, str] | None = None
    of_operator: tuple[str, str] | None = None


def known_keys(folder: Path) -> KnownApiKeys:
    """Return the API keys in `dev.json`."""
    try:
        dev = DevServerDetails.read(folder)
    except ConfigurationError:
        return KnownApiKeys()
    return KnownApiKeys(
        (dev.api_key_sid, dev.api_key_secret), (dev.operator_key_sid, dev.operator_key_secret)
    )


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read; if writing fails, the old file stays unchanged."""
    # Create the file with its final mode, so that no other user can open it in between.
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    fresh.replace(path)
