"""All settings of a server, as values."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv4Network
from pathlib import Path

from ringback.core.callbacks.response_storage import ResponseStorageBudget
from ringback.core.http.allowed_addresses import Network
from ringback.core.http.descriptor_shares import DescriptorShares, outgoing_wanted
from ringback.core.http.egress_routes import Egress, Egresses
from ringback.core.http.ssrf_guard import Ports, SsrfGuard
from ringback.core.policy.source_policy import Policy, Source, SourceName
from ringback.core.retry_schedule import RetrySchedule
from ringback.core.shadows.shadow import ShadowRule
from ringback.core.sims.data_session import MEGABYTE
from ringback.core.sims.scenario import NetworkScenario
from ringback.core.sims.simulated_network import EVERYONE, SimulationSettings
from ringback.core.sources.source_definition import Sources
from ringback.settings.parsers import HttpsPortSetting, UdpGatewayAddress


@dataclass(frozen=True, slots=True)
class Settings:
    """How `ringback dev` or `ringback serve` runs; `setting_definitions` says what each one is."""

    host: str
    port: int
    tls: bool
    tls_port: HttpsPortSetting
    tls_cert: Path | None
    tls_key: Path | None
    trusted_proxies: tuple[Network, ...]
    max_connections: int
    data: Path
    policy: Policy
    sources: Sources
    """The two built in, and those that the settings add."""
    phase: str | None
    """The phase that holds whatever the date; None where the date decides."""
    at: datetime | None
    """The instant at which the policy's calendar starts; None for today."""
    update_takes: timedelta
    scenario: NetworkScenario
    """How the simulated network behaves towards all that `scenarios` doesn't name."""
    scenarios: Mapping[str, NetworkScenario]
    """By the SID of a SIM or an account."""
    data_per_day: int
    """MB."""
    seed: int
    devices: IPv4Network
    gateway: UdpGatewayAddress | None
    static_proxy: bool
    allow: tuple[Network, ...]
    callback_ports: Ports
    callback_schemes: tuple[str, ...]
    schedule: RetrySchedule
    at_once: int
    per_destination: int
    backlog: int
    backlog_per_account: int
    response_storage: int
    """Bytes."""
    response_storage_per_account: int
    """Bytes."""
    rate_limit: int | None
    """Callbacks and other requests that an account may ask for in a second."""
    twilio_egress: Egress
    kore_egress: Egress
    egress_of_source: Mapping[SourceName, Egress]
    """Those of the added sources that name one."""
    egress: Mapping[str, Egress]
    """The ways out that a callback URL can name with `#e=`."""
    shadows: tuple[ShadowRule, ...]
    """Which callbacks are copied from another source; the first that covers one decides."""
    extra_ca_file: Path | None
    client_cert_file: Path | None
    client_key_file: Path | None
    seal_key: str | None
    seal_key_file: Path | None
    drain: timedelta
    warn_before: tuple[timedelta, ...]
    log_format: str
    log_level: str

    @property
    def effective_policy(self) -> Policy:
        """The policy, held in one phase where the settings name it."""
        return self.policy if self.phase is None else self.policy.held_in(self.phase)

    @property
    def connections_wanted(self) -> DescriptorShares:
        """How many connections there may be where nothing else limits them."""
        return DescriptorShares(
            incoming=self.max_connections, outgoing=outgoing_wanted(self.at_once)
        )

    @property
    def guard(self) -> SsrfGuard:
        """The rules on where callbacks may go."""
        return SsrfGuard(self.allow, self.callback_ports, self.callback_schemes)

    @property
    def storage_budget(self) -> ResponseStorageBudget:
        """How much may be kept of long answers."""
        return ResponseStorageBudget(self.response_storage, self.response_storage_per_account)

    @property
    def simulation(self) -> SimulationSettings:
        """How the simulated network is set."""
        return SimulationSettings(
            takes=self.update_takes,
            devices=self.devices,
            data_per_day=self.data_per_day * MEGABYTE,
            seed=self.seed,
            scenarios={**self.scenarios, EVERYONE: self.scenario},
        )

    @property
    def egresses(self) -> Egresses:
        """The ways out of this machine."""
        own: dict[SourceName, Egress] = {
            Source.TWILIO: self.twilio_egress,
            Source.KORE: self.kore_egress,
            **self.egress_of_source,
        }
        return Egresses(by_source=own, named=self.egress)
