"""Sets up `ringback migrate`: opens the URL source, and probes receivers before their URLs move.

A URL source is a place where callback URLs are configured, such as Twilio's API or a CSV file.
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
from ringback.data_folder import DATA_FILE, DataFolder, command_line
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


# ---- the source of the URLs ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class UrlSourceCredentials:
    """The credentials and locations needed to open a URL source; a plan never contains them."""

    auth_token: str | None = field(repr=False)
    seal_key_file: Path | None
    server: str | None
    """The server that the Auth Token may be sent to; None for Twilio's API."""


@dataclass(frozen=True, slots=True)
class OpenedUrlSource:
    """An open URL source, the clock that it uses, and the deliveries to its URLs."""

    url_source: UrlSource
    clock: Clock
    deliveries: UrlDeliveryHistory | None = None
    """The past deliveries to the URLs; None if the URL source has no record of them."""


@asynccontextmanager
async def open_url_source(
    spec: UrlSourceSpec, credentials: UrlSourceCredentials
) -> AsyncGenerator[OpenedUrlSource]:
    """Open the URL source that a plan describes, and close it at the end of the block.

    Raises ConfigurationError if the source can't be opened, or if its kind is unknown.
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
            raise ConfigurationError("the plan has an unknown kind of URL source; make a new plan")


@asynccontextmanager
async def _store(
    data: Path, account: str | None, credentials: UrlSourceCredentials
) -> AsyncGenerator[OpenedUrlSource]:
    if not (data / DATA_FILE).exists():
        raise ConfigurationError(
            f"there is no data in {data}; give the data folder of a Ringback with --data"
        )
    seal_key = ENVIRONMENT.get(SEAL_KEY.variable) or None
    store = DataFolder(data, seal_key, credentials.seal_key_file).open_beside()
    try:
        # `ringback dev` may have advanced the clock, so dates are compared with that clock.
        clock = VirtualClock(SystemClock(), ahead=ClockFile(data).read())
        # The account may be given by its KORE id, and the URL source knows only SIDs.
        owner = await store.read(lambda tx: fetch_account(tx, account).sid) if account else None
        own_data = OwnDataUrlSource(
            store, folder=str(data), clock=clock, account_sid=owner, actor=command_line()
        )
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
    """Raise ConfigurationError if the plan's `server` isn't the one that the user gave.

    Otherwise a forged plan could send the Auth Token to any server.
    """
    of_plan, named = (url and base_url(url) for url in (server, given))
    if of_plan != named:
        planned = of_plan or "Twilio's API"
        said = "is not given" if named is None else f"is {named}"
        right = "give neither" if of_plan is None else f"give --server {of_plan}"
        raise ConfigurationError(
            f"the plan is for {planned}, and --server or RINGBACK_SERVER {said}: no request was"
            f" made, and the Auth Token was not sent. If the plan is right, {right}; otherwise make"
            " a new one"
        )


# ---- the quick probe that a receiver must pass before it moves -----------------------------------


@dataclass(frozen=True, slots=True)
class MigrationProbeOptions:
    """The options of `ringback migrate` for the probe of receivers before their URLs move."""

    no_probe: bool
    kore_secret: str | None = field(repr=False)
    allow: tuple[Network, ...]
    extra_ca_file: Path | None
    sources: Sources
    """The sources whose callbacks the probe can imitate."""


@dataclass(frozen=True, slots=True)
class ReceiverReadinessProbe:
    """Probes receivers before their URLs move to the source `to`."""

    found: OpenedUrlSource
    to: SourceName
    how: MigrationProbeOptions
    auth_token: str | None = field(repr=False)

    @property
    def missing_secret(self) -> str | None:
        """The name of a secret that the probe needs but does not have; None if none is missing."""
        if isinstance(self.found.url_source, OwnDataUrlSource):
            return None
        if self.how.sources[self.to].signature.is_by_auth_token:
            return None if self.auth_token else "auth_token"
        return None if self.how.kore_secret else "kore_secret"

    @asynccontextmanager
    async def check(self) -> AsyncGenerator[ReceiverReadinessCheck | None]:
        """Yield the function that checks a receiver; yields None with `--no-probe`.

        Call this only if `how.sources` include `to`, and `missing_secret` is None.
        """
        if self.how.no_probe:
            yield None
            return
        # Customers configure these URLs. Without --allow, none of them can make the operator's
        # machine send requests into the operator's own network.
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
        """Send a receiver a genuine callback from the source `to`, and forged ones.

        Returns why the receiver isn't ready, or None if it is.
        """
        account = await self._account(entry.place.account_sid)
        if account is None:
            return f"account {entry.place.account_sid} does not exist any more"
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
        """Return the account whose secrets sign the probe's callbacks; None if it was deleted."""
        if isinstance(self.found.url_source, OwnDataUrlSource):
            return await self.found.url_source.account(sid or "")
        return account_of(
            sid or PROBE_ACCOUNT_SID,
            auth_token=self.auth_token,
            kore_secret=self.how.kore_secret,
            at=self.found.clock.now(),
        )
