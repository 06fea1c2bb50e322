"""Which receivers `ringback migrate apply` lets move: those that a quick probe finds ready."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any, Final

import click

from ringback.cli.migrate_records import Opened
from ringback.core.account import Account
from ringback.core.addresses import Network
from ringback.core.callback_url import CallbackUrl
from ringback.core.connection import Limits
from ringback.core.guard import Guard
from ringback.core.infrastructure import BUILT_IN, Sources
from ringback.core.policy.source_policy import SourceName
from ringback.engine.network import SystemNetwork
from ringback.engine.sender import Sender
from ringback.engine.system import SystemChance, stopwatch
from ringback.engine.tls import Tls
from ringback.migration.applying import Gate
from ringback.migration.record import Entry
from ringback.migration.records.store import StoreRecord
from ringback.ports import Clock, Transport
from ringback.probe.gate import gate as probe
from ringback.probe.payloads import PROBE_ACCOUNT_SID
from ringback.probe.requests import account_of
from ringback.settings.file import SettingsFile
from ringback.settings.load import FILE_VARIABLE
from ringback.settings.parsers import read_networks
from ringback.settings.sources import AddedSources

_LIMITS: Final = Limits(connect=5.0, read=15.0, total=15.0)

AccountOf = Callable[[str | None], Awaitable[Account | None]]
"""Finds whose secrets sign towards the receivers of an account."""


@dataclass(frozen=True, slots=True)
class Probing:
    """How receivers are probed before they move."""

    is_wanted: bool
    auth_token: str | None = field(repr=False)
    kore_secret: str | None = field(repr=False)
    allow: tuple[Network, ...]
    extra_ca_file: Path | None
    sources: Sources
    """As which there can be probed."""


@dataclass(frozen=True, slots=True)
class _ProbeGate:
    """Answers `Gate`."""

    to: SourceName
    account_of: AccountOf
    transport: Transport
    clock: Clock
    sources: Sources

    async def check(self, entry: Entry) -> str | None:
        """Send the receiver a genuine callback of the other source, and forgeries."""
        account = await self.account_of(entry.place.account_sid)
        if account is None:
            return f"account {entry.place.account_sid} is not there any more"
        return await probe(
            CallbackUrl.parse(entry.url, sources=None),
            method=entry.method,
            source=self.to,
            account=account,
            transport=self.transport,
            limits=_LIMITS,
            chance=SystemChance(),
            now=self.clock.now(),
            sources=self.sources,
        )


@asynccontextmanager
async def probing(found: Opened, to: SourceName, how: Probing) -> AsyncGenerator[Gate | None]:
    """Return what asks receivers whether they are ready; None where that isn't wanted.

    Raises click.UsageError where the secret that signs is not at hand, and for a source that the
    settings don't have.
    """
    if not how.is_wanted:
        yield None
        return
    if to not in how.sources:
        raise click.UsageError(
            f"receivers are probed before they move, and what {to} sends is in no settings here:"
            " give the server's with --settings, or --no-probe"
        )
    accounts = _accounts_of(found, to, how)
    # Who has configured these URLs is often not who runs this: without --allow nobody has requests
    # sent into the operator's own network.
    sender = Sender(
        stopwatch=stopwatch,
        guard=Guard(how.allow),
        network=SystemNetwork(
            Tls(ca_files=() if how.extra_ca_file is None else (how.extra_ca_file,))
        ),
    )
    try:
        yield _ProbeGate(to, accounts, sender, found.clock, how.sources)
    finally:
        await sender.close()


def _accounts_of(found: Opened, to: SourceName, how: Probing) -> AccountOf:
    record = found.record
    if isinstance(record, StoreRecord):
        return lambda sid: record.account(sid or "")
    is_by_auth_token = how.sources[to].signature.is_by_auth_token
    if not (how.auth_token if is_by_auth_token else how.kore_secret):
        flag = "--auth-token" if is_by_auth_token else "--kore-secret"
        raise click.UsageError(
            f"receivers are probed before they move, by callbacks that {flag} signs: give it, or"
            " --no-probe"
        )

    async def given(account_sid: str | None) -> Account:
        return account_of(
            account_sid or PROBE_ACCOUNT_SID,
            auth_token=how.auth_token,
            kore_secret=how.kore_secret,
            at=found.clock.now(),
        )

    return given


def _read_allow(_ctx: click.Context, _param: click.Parameter, text: str) -> tuple[Network, ...]:
    try:
        return read_networks(text)
    except ValueError as problem:
        raise click.BadParameter(str(problem)) from problem


def _read_sources(_ctx: click.Context, _param: click.Parameter, path: str | None) -> Sources:
    return BUILT_IN if path is None else AddedSources(SettingsFile.read(path)).sources


def with_probing(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of the probe, and hand it `probes`; `auth_token` it has."""

    @click.option(
        "--settings",
        "sources",
        envvar=FILE_VARIABLE,
        metavar="FILE",
        callback=_read_sources,
        help="A settings file with sources of its own, for the probe to act as one of them.",
    )
    @click.option(
        "--no-probe", is_flag=True, help="Move without asking receivers if they are ready."
    )
    @click.option(
        "--kore-secret",
        envvar="RINGBACK_KORE_SECRET",
        metavar="SECRET",
        help="What KORE's callbacks to the receivers are signed with, for the probe; a data folder"
        " has that itself.",
    )
    @click.option(
        "--allow",
        envvar="RINGBACK_ALLOW",
        metavar="NETWORKS",
        default="none",
        show_default=True,
        callback=_read_allow,
        help="Networks, beside the public ones, where receivers are probed: 10.0.0.0/8,loopback.",
    )
    @click.option(
        "--extra-ca-file",
        type=click.Path(dir_okay=False, path_type=Path),
        envvar="RINGBACK_EXTRA_CA_FILE",
        metavar="FILE",
        help="Believe the certificates of these authorities too (PEM).",
    )
    @wraps(command)
    def run(
        *,
        auth_token: str | None,
        no_probe: bool,
        kore_secret: str | None,
        allow: tuple[Network, ...],
        extra_ca_file: Path | None,
        sources: Sources,
        **options: Any,
    ) -> None:
        how = Probing(not no_probe, auth_token, kore_secret, allow, extra_ca_file, sources)
        command(auth_token=auth_token, probes=how, **options)

    return run
