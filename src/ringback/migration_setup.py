"""Sets up `ringback migrate`: opens the URL source, and probes receivers before their URLs move.

A URL source is a place where callback URLs are configured, such as Twilio's API or a CSV file.
"""

from collections.abc import AsyncGenerator, Callable
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
from ringback.migration.named_place import NamedPlace, place_to_open
from ringback.migration.plan import MigrationPlan
from ringback.migration.url_source import UrlDeliveryHistory, UrlEntry, UrlSource, UrlSourceSpec
from ringback.migration.url_sources.api import ApiUrlSource
from ringback.migration.url_sources.file_url_source import FileUrlSource
from ringback.migration.url_sources.own_data import OwnDataUrlSource
from ringback.operations.accounts import fetch_account
from ringback.portal_client import PortalClient
from ringback.ports import Clock, Store, Transport
from ringback.probe.payloads import PROBE_ACCOUNT_SID
from ringback.probe.quick_check import quick_check
from ringback.probe.request_factory import account_of
from ringback.runtime.system_clock import SystemClock, SystemRandomSource, stopwatch
from ringback.runtime.virtual_clock import VirtualClock
from ringback.settings import ENVIRONMENT
from ringback.settings.mounted_secrets import seal_key_in

_LIMITS: Final = Timeouts(connect=5.0, read=15.0, total=15.0)


# ---- the source of the URLs ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class UrlSourceCredentials:
    """The credentials and locations needed to open a URL source; a plan never contains them."""

    auth_token: str | None = field(repr=False)
    seal_key_file: Path | None


@dataclass(frozen=True, slots=True)
class OpenedUrlSource:
    """An open URL source, the clock that it uses, and the deliveries to its URLs."""

    url_source: UrlSource
    clock: Clock
    deliveries: UrlDeliveryHistory | None = None
    """The past deliveries to the URLs; None if the URL source has no record of them."""
    fingerprint: str | None = None
    """The fingerprint of the Ringback's data; None if the URLs are elsewhere."""
    store: Store | None = None
    """The store with the URLs, in which a job can move them; None if they are elsewhere."""
    portal: PortalClient | None = None
    """The portal of a server that can move them by a job; None if they are elsewhere."""
    is_served: Callable[[], bool] = lambda: False
    """Returns True while a server uses the store, so that it carries out jobs."""


@asynccontextmanager
async def open_planned(
    plan: MigrationPlan, named: NamedPlace, credentials: UrlSourceCredentials
) -> AsyncGenerator[OpenedUrlSource]:
    """Open the place of a plan that the user names, and close it at the end of the block.

    Raises ConfigurationError if the plan is for another place, or for other data than is there, or
    if the place can't be opened. No credentials were sent then.
    """
    spec = place_to_open(plan, named)
    async with open_url_source(spec, credentials, fingerprint=plan.fingerprint) as opened:
        yield opened


@asynccontextmanager
async def open_url_source(
    spec: UrlSourceSpec, credentials: UrlSourceCredentials, *, fingerprint: str | None = None
) -> AsyncGenerator[OpenedUrlSource]:
    """Open the URL source that a plan describes, and close it at the end of the block.

    Raises ConfigurationError if the source can't be opened, if its kind is unknown, or if its data
    has another fingerprint than the one that is given.
    """
    match spec:
        case {"kind": "store", "data": str(data), "account": account}:
            async with _store(Path(data), account, credentials, fingerprint) as store:
                yield store
        case {"kind": "api", "account": str(account), "server": None | str() as server}:
            yield await _api(account, server, credentials, fingerprint)
        case {"kind": "csv", "root": str(root), "paths": [str(path)]}:
            yield OpenedUrlSource(FileUrlSource(Path(root), (path,), "csv"), SystemClock())
        case {"kind": "files", "root": str(root), "paths": [*paths]}:
            files = FileUrlSource(Path(root), tuple(map(str, paths)), "files")
            yield OpenedUrlSource(files, SystemClock())
        case _:
            raise ConfigurationError("the plan has an unknown kind of URL source; make a new plan")


@asynccontextmanager
async def _store(
    data: Path, account: str | None, credentials: UrlSourceCredentials, expected: str | None
) -> AsyncGenerator[OpenedUrlSource]:
    if not (data / DATA_FILE).exists():
        raise ConfigurationError(
            f"there is no data in {data}; give the data folder of a Ringback with --data"
        )
    seal_key = seal_key_in(ENVIRONMENT, credentials.seal_key_file)
    folder = DataFolder(data, seal_key, credentials.seal_key_file)
    store = folder.open_beside()
    try:
        fingerprint = await store.read(lambda tx: tx.fingerprint())
        _refuse_other_data(f"the data in {data}", fingerprint, expected)
        # `ringback dev` may have advanced the clock, so dates are compared with that clock.
        clock = VirtualClock(SystemClock(), ahead=ClockFile(data).read())
        # The account may be given by its KORE id, and the URL source knows only SIDs.
        owner = await store.read(lambda tx: fetch_account(tx, account).sid) if account else None
        own_data = OwnDataUrlSource(
            store, folder=str(data), clock=clock, account_sid=owner, actor=command_line()
        )
        yield OpenedUrlSource(
            *(own_data, clock, own_data, fingerprint),
            store=store,
            is_served=lambda: folder.served_by() is not None,
        )
    finally:
        await store.close()


async def _api(
    account_sid: str, server: str | None, credentials: UrlSourceCredentials, expected: str | None
) -> OpenedUrlSource:
    if credentials.auth_token is None:
        raise ConfigurationError(
            f"to ask the API for account {account_sid}, give its Auth Token: RINGBACK_AUTH_TOKEN,"
            " or --auth-token"
        )
    api = ApiUrlSource.open(
        account_sid=account_sid, auth_token=credentials.auth_token, server=server
    )
    fingerprint = await api.fingerprint()
    _refuse_other_data(f"the server at {api.server}", fingerprint, expected)
    portal = None
    if api.server is not None and fingerprint is not None:
        # A Ringback that has a fingerprint can also carry out plans.
        portal = PortalClient(api.server, account_sid, credentials.auth_token)
    return OpenedUrlSource(api, SystemClock(), api.deliveries, fingerprint, portal=portal)


def _refuse_other_data(place: str, fingerprint: str | None, expected: str | None) -> None:
    """Raise ConfigurationError if a plan expects another fingerprint than that of this place."""
    if expected not in (None, fingerprint):
        found = "has none" if fingerprint is None else f"has {fingerprint}"
        raise ConfigurationError(
            f"the plan is for the data with the fingerprint {expected}, and {place} {found}: no"
            " URL was changed, and no credentials were sent. Name the place of the plan's data with"
            " --data or --server, or make a new plan"
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
        if isinstance(self.found.url_source, OwnDataUrlSource) or self.found.portal is not None:
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
        fault = await quick_check(
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
        return None if fault is None else fault.words

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
