"""Puts a migration together: opens the URL source, and has the probe decide which URLs may move.

What `application` is to the server, this is to `ringback migrate`.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from ringback.core.accounts.account import Account
from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.callback_urls.connection_overrides import Timeouts
from ringback.core.errors import ConfigurationError
from ringback.core.http.allowed_addresses import Network
from ringback.core.http.ssrf_guard import SsrfGuard
from ringback.core.policy.source_policy import SourceName
from ringback.core.sources.source_definition import Sources
from ringback.data_folder import DATA_FILE, DataFolder
from ringback.dev_environment.clock_file import ClockFile
from ringback.http_client.http_sender import HttpTransport
from ringback.http_client.sockets_and_tls import SystemNetwork
from ringback.http_client.tls import ClientTls
from ringback.migration.executor import ReceiverReadinessCheck
from ringback.migration.url_source import UrlDeliveryHistory, UrlEntry, UrlSource, UrlSourceSpec
from ringback.migration.url_sources.api import ApiUrlSource, base_url
from ringback.migration.url_sources.file_url_source import FileUrlSource
from ringback.migration.url_sources.own_data import OwnDataUrlSource
from ringback.operations.accounts import fetch_account
from ringback.ports import Clock, Transport
from ringback.probe.payloads import PROBE_ACCOUNT_SID
from ringback.probe.quick_check import quick_check
from ringback.probe.request_factory import account_of
from ringback.runtime.system_clock import SystemClock, SystemRandomSource, stopwatch
from ringback.runtime.virtual_clock import VirtualClock
from ringback.settings import ENVIRONMENT
from ringback.settings.setting_definitions import SEAL_KEY

_LIMITS: Final = Timeouts(connect=5.0, read=15.0, total=15.0)


# ---- where the URLs are --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class UrlSourceCredentials:
    """Secrets and places that open a URL source; never written to a plan."""

    auth_token: str | None = field(repr=False)
    seal_key_file: Path | None
    server: str | None
    """Where the Auth Token may be sent to; None for Twilio's hosts."""


@dataclass(frozen=True, slots=True)
class OpenedUrlSource:
    """An open URL source, its clock, and how its callbacks go."""

    url_source: UrlSource
    clock: Clock
    deliveries: UrlDeliveryHistory | None = None
    """None where nothing says how callbacks go."""


@asynccontextmanager
async def open_url_source(
    spec: UrlSourceSpec, credentials: UrlSourceCredentials
) -> AsyncGenerator[OpenedUrlSource]:
    """Open a URL source, and close it in the end.

    Raises ConfigurationError where it can't be used, or is of no known kind.
    """
    match spec:
        case {"kind": "store", "data": str(data), "account": account}:
            async with _store(Path(data), account, credentials) as store:
                yield store
        case {"kind": "api", "account": str(account), "server": None | str() as server}:
            yield _api(account, server, credentials)
        case {"kind": "csv", "root": str(root), "paths": [str(path)]}:
            yield OpenedUrlSource(FileUrlSource(Path(root), (path,), "csv"), SystemClock())
        case {"kind": "files", "root": str(root), "paths": [*paths]}:
            files = FileUrlSource(Path(root), tuple(map(str, paths)), "files")
            yield OpenedUrlSource(files, SystemClock())
        case _:
            raise ConfigurationError("the plan names no record that is known here; make a new plan")


@asynccontextmanager
async def _store(
    data: Path, account: str | None, credentials: UrlSourceCredentials
) -> AsyncGenerator[OpenedUrlSource]:
    if not (data / DATA_FILE).exists():
        raise ConfigurationError(
            f"there is no data in {data}; --data names the folder of a Ringback"
        )
    seal_key = ENVIRONMENT.get(SEAL_KEY.variable) or None
    store = DataFolder(data, seal_key, credentials.seal_key_file).open_beside()
    try:
        # Dates are judged by the clock of the data, which `ringback dev` may have advanced.
        clock = VirtualClock(SystemClock(), ahead=ClockFile(data).read())
        # The account may be named by its id at KORE, and the URL source knows only SIDs.
        owner = await store.read(lambda tx: fetch_account(tx, account).sid) if account else None
        own_data = OwnDataUrlSource(store, folder=str(data), clock=clock, account_sid=owner)
        yield OpenedUrlSource(own_data, clock, own_data)
    finally:
        await store.close()


def _api(
    account_sid: str, server: str | None, credentials: UrlSourceCredentials
) -> OpenedUrlSource:
    if credentials.auth_token is None:
        raise ConfigurationError(
            f"to ask the API for account {account_sid}, give its Auth Token: RINGBACK_AUTH_TOKEN,"
            " or --auth-token"
        )
    _refuse_another(server, credentials.server)
    api = ApiUrlSource.open(
        account_sid=account_sid, auth_token=credentials.auth_token, server=server
    )
    return OpenedUrlSource(api, SystemClock(), api.deliveries)


def _refuse_another(server: str | None, given: str | None) -> None:
    """Refuse a server that nobody but the plan names: the Auth Token would be sent there."""
    of_plan, named = (url and base_url(url) for url in (server, given))
    if of_plan != named:
        planned = of_plan or "Twilio's API"
        said = "is not given" if named is None else f"is {named}"
        right = "give neither" if of_plan is None else f"give --server {of_plan}"
        raise ConfigurationError(
            f"the plan is of {planned}, and --server or RINGBACK_SERVER {said}: nobody was asked,"
            f" and nobody was sent the Auth Token. Where the plan is right, {right}; else make a"
            " new one"
        )


# ---- who may move: receivers that a quick probe finds ready --------------------------------------


@dataclass(frozen=True, slots=True)
class MigrationProbeOptions:
    """How receivers are probed before they move."""

    no_probe: bool
    kore_secret: str | None = field(repr=False)
    allow: tuple[Network, ...]
    extra_ca_file: Path | None
    sources: Sources
    """The sources that the probe can act as."""


@dataclass(frozen=True, slots=True)
class ReceiverReadinessProbe:
    """Probes receivers before they move to a source."""

    found: OpenedUrlSource
    to: SourceName
    how: MigrationProbeOptions
    auth_token: str | None = field(repr=False)

    @property
    def missing_secret(self) -> str | None:
        """The secret that the probe of the source needs and lacks, by its name; else None."""
        if isinstance(self.found.url_source, OwnDataUrlSource):
            return None
        if self.how.sources[self.to].signature.is_by_auth_token:
            return None if self.auth_token else "auth_token"
        return None if self.how.kore_secret else "kore_secret"

    @asynccontextmanager
    async def check(self) -> AsyncGenerator[ReceiverReadinessCheck | None]:
        """Yield the check of a receiver; None with --no-probe.

        `to` has to be one of the sources in `how`, and no secret may be missing.
        """
        if self.how.no_probe:
            yield None
            return
        # Who has configured these URLs is often not who runs this: without --allow nobody has
        # requests sent into the operator's own network.
        extra = self.how.extra_ca_file
        tls = ClientTls(ca_files=() if extra is None else (extra,))
        sender = HttpTransport(
            stopwatch=stopwatch, guard=SsrfGuard(self.how.allow), network=SystemNetwork(tls)
        )
        try:
            yield partial(self._probe, sender)
        finally:
            await sender.close()

    async def _probe(self, transport: Transport, entry: UrlEntry) -> str | None:
        """Send the receiver a genuine callback of the other source, and forgeries."""
        account = await self._account(entry.place.account_sid)
        if account is None:
            return f"account {entry.place.account_sid} is not there any more"
        return await quick_check(
            CallbackUrl.parse(entry.url, sources=None),
            method=entry.method,
            source=self.to,
            account=account,
            transport=transport,
            limits=_LIMITS,
            random_source=SystemRandomSource(),
            now=self.found.clock.now(),
            sources=self.how.sources,
        )

    async def _account(self, sid: str | None) -> Account | None:
        """Return whose secrets sign towards the receivers of an account."""
        if isinstance(self.found.url_source, OwnDataUrlSource):
            return await self.found.url_source.account(sid or "")
        return account_of(
            sid or PROBE_ACCOUNT_SID,
            auth_token=self.auth_token,
            kore_secret=self.how.kore_secret,
            at=self.found.clock.now(),
        )
