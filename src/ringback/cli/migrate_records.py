"""Where the callback URLs are that `ringback migrate` works on."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any, Final

import click

from ringback.cli.clock_file import ClockFile
from ringback.core.errors import Unusable
from ringback.data_folder import DATA_FILE, open_beside
from ringback.engine.system import SystemClock
from ringback.engine.virtual_clock import VirtualClock
from ringback.migration.record import Deliveries, Record
from ringback.migration.records.api import ApiRecord
from ringback.migration.records.files import FilesRecord
from ringback.migration.records.store import StoreRecord
from ringback.operations.accounts import fetch_account
from ringback.ports import Clock, Store
from ringback.settings import DATA, ENVIRONMENT, SEAL_KEY, SEAL_KEY_FILE

Source = Mapping[str, Any]
"""Which record it is, as plans keep it."""


@dataclass(frozen=True, slots=True)
class Keys:
    """What opens a record; plans don't have it."""

    auth_token: str | None = field(repr=False)
    seal_key_file: Path | None


@dataclass(frozen=True, slots=True)
class Opened:
    """A record that can be worked on."""

    record: Record
    clock: Clock
    deliveries: Deliveries | None
    """None where the record doesn't know how callbacks go."""


@asynccontextmanager
async def opened(source: Source, keys: Keys) -> AsyncGenerator[Opened]:
    """Open a record, and close it in the end.

    Raises Unusable where it can't be used, or is of no known kind.
    """
    match source:
        case {"kind": "store", "data": str(data), "account": account}:
            async with _store(Path(data), account, keys) as store:
                yield store
        case {"kind": "api", "account": str(account), "server": server}:
            yield _api(account, server, keys)
        case {"kind": "csv", "root": str(root), "paths": [str(path)]}:
            yield _files(FilesRecord.of_table(Path(root), path))
        case {"kind": "files", "root": str(root), "paths": [*paths]}:
            yield _files(FilesRecord.of_code(Path(root), list(map(str, paths))))
        case _:
            raise Unusable("the plan names no record that is known here; make a new plan")


@asynccontextmanager
async def _store(data: Path, account: str | None, keys: Keys) -> AsyncGenerator[Opened]:
    if not (data / DATA_FILE).exists():
        raise Unusable(f"there is no data in {data}; --data names the folder of a Ringback")
    seal_key = ENVIRONMENT.get(SEAL_KEY.variable) or None
    store = open_beside(data, seal_key=seal_key, seal_key_file=keys.seal_key_file)
    try:
        clock = VirtualClock(SystemClock(), ahead=ClockFile(data).read())
        owner = await _account_sid(store, account) if account else None
        record = StoreRecord(store, folder=str(data), clock=clock, account_sid=owner)
        yield Opened(record, clock, record)
    finally:
        await store.close()


async def _account_sid(store: Store, sid_or_kore_id: str) -> str:
    return (await store.read(lambda tx: fetch_account(tx, sid_or_kore_id))).sid


def _api(account_sid: str, server: str | None, keys: Keys) -> Opened:
    if keys.auth_token is None:
        raise Unusable(
            f"to ask the API for account {account_sid}, give its Auth Token: RINGBACK_AUTH_TOKEN,"
            " or --auth-token"
        )
    record = ApiRecord.open(account_sid=account_sid, auth_token=keys.auth_token, server=server)
    return Opened(record, SystemClock(), record.deliveries)


def _files(record: FilesRecord) -> Opened:
    return Opened(record, SystemClock(), None)


# ---- options -------------------------------------------------------------------------------------

auth_token_option: Final = click.option(
    "--auth-token",
    envvar="RINGBACK_AUTH_TOKEN",
    metavar="TOKEN",
    help="The account's Auth Token, for --api, and to probe receivers as Twilio. Better in"
    " RINGBACK_AUTH_TOKEN: whoever can list processes sees what is given here.",
)
seal_key_option: Final = click.option(
    SEAL_KEY_FILE.flag,
    type=click.Path(dir_okay=False, path_type=Path),
    envvar=SEAL_KEY_FILE.variable,
    metavar=SEAL_KEY_FILE.metavar,
    help=f"For --data: {SEAL_KEY_FILE.help} The key itself can be in {SEAL_KEY.variable} instead.",
)
_OPTIONS: Final = (
    click.argument("paths", nargs=-1, metavar="[PATH]..."),
    click.option(
        "--data",
        type=click.Path(file_okay=False, path_type=Path),
        envvar=DATA.variable,
        metavar=DATA.metavar,
        help="The URLs in the data folder of a Ringback, also while it runs.",
    ),
    click.option("--account", metavar="SID", help="With --data, those of this account alone."),
    seal_key_option,
    click.option("--api", is_flag=True, help="The URLs that an account has at the official API."),
    click.option(
        "--server",
        envvar="RINGBACK_SERVER",
        metavar="URL",
        help="With --api, the server to ask instead of Twilio's.",
    ),
    click.option(
        "--account-sid",
        envvar="RINGBACK_ACCOUNT_SID",
        metavar="SID",
        help="With --api, whose URLs.",
    ),
    auth_token_option,
    click.option("--csv", metavar="FILE", help="The URLs in a table, with a column `url`."),
)


def with_record(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that name a record, and hand it the `source` and the `keys`."""

    @wraps(command)
    def run(
        *,
        paths: tuple[str, ...],
        data: Path | None,
        account: str | None,
        seal_key_file: Path | None,
        api: bool,
        server: str | None,
        account_sid: str | None,
        auth_token: str | None,
        csv: str | None,
        **options: Any,
    ) -> None:
        given = {
            "PATH": _of_paths(paths) if paths else None,
            "--csv": _of_csv(csv) if csv else None,
            "--api": _of_api(account_sid, server) if api else None,
            "--data": _of_data(data, account) if data and not _is_from_environment() else None,
        }
        sources = {name: source for name, source in given.items() if source is not None}
        if len(sources) > 1:
            raise click.UsageError(f"{' and '.join(sources)} are several records: give one")
        if not sources and data is None:
            raise click.UsageError(
                "say where the URLs are: --data DIR, --api, --csv FILE, or files and folders"
            )
        (source,) = sources.values() or [_of_data(data or Path(), account)]
        command(source=source, keys=Keys(auth_token, seal_key_file), **options)

    for option in reversed(_OPTIONS):
        run = option(run)
    return run


def _is_from_environment() -> bool:
    place = click.get_current_context().get_parameter_source("data")
    return place is click.core.ParameterSource.ENVIRONMENT


def _of_paths(paths: tuple[str, ...]) -> Source:
    return {"kind": "files", "root": str(Path.cwd()), "paths": list(paths)}


def _of_csv(path: str) -> Source:
    return {"kind": "csv", "root": str(Path.cwd()), "paths": [path]}


def _of_api(account_sid: str | None, server: str | None) -> Source:
    if not account_sid:
        raise click.UsageError("--api needs the account: --account-sid, or RINGBACK_ACCOUNT_SID")
    return {"kind": "api", "account": account_sid, "server": server}


def _of_data(data: Path, account: str | None) -> Source:
    return {"kind": "store", "data": str(data.absolute()), "account": account}
