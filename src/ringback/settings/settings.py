"""The parsed settings of a server, and values that are computed from several settings."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import IPv4Network
from pathlib import Path

from ringback.core.callbacks.response_storage import ResponseStorageBudget
from ringback.core.callbacks.shards import Role
from ringback.core.destinations.effective_settings import DestinationRule
from ringback.core.http.allowed_addresses import Network
from ringback.core.http.descriptor_shares import DescriptorShares, outgoing_wanted
from ringback.core.http.egress_routes import Egress, Egresses
from ringback.core.http.ssrf_guard import Ports, SsrfGuard
from ringback.core.policy.policy_version import PolicyPart
from ringback.core.policy.source_policy import Policy, Source, SourceName
from ringback.core.retention import StoredTimes
from ringback.core.retry_schedule import RetrySchedule
from ringback.core.shadows.shadow import ShadowRule
from ringback.core.sims.data_session import MEGABYTE
from ringback.core.sims.scenario import NetworkScenario
from ringback.core.sims.simulated_network import EVERYONE, SimulationSettings
from ringback.core.sources.source_definition import Sources
from ringback.core.streams.sink import StreamSettings
from ringback.settings.parsers import HttpsPortSetting, UdpGatewayAddress


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of `ringback dev` or `ringback serve`; `setting_definitions` explains each."""

    host: str
    port: int
    fd: int | None
    """The file descriptor of a listening socket to use instead of `host` and `port`."""
    tls: bool
    tls_port: HttpsPortSetting
    tls_cert: Path | None
    tls_key: Path | None
    trusted_proxies: tuple[Network, ...]
    max_connections: int
    data: Path
    database: str | None = field(repr=False)
    """The address of the PostgreSQL database in place of the data file; it can have secrets."""
    database_file: Path | None
    """The file that `database` was read from."""
    database_notifications: bool
    wait_for_database: timedelta
    """How long a start waits for a database that can't be used yet."""
    role: Role
    start_paused: bool
    """True if the server pauses at its start, until an operator resumes it."""
    policy: Policy
    """The policy in the settings file; the server uses the newest version in its store."""
    policy_origin: str
    """The path of the settings file, or `KORE's notice` if the file has no policy."""
    sources: Sources
    """The two built-in sources, and those that the settings file adds."""
    phase: str | None
    """The phase in which the policy stays whatever the date; None if the date decides.

    An empty name stands for the first phase of the policy in force.
    """
    at: datetime | None
    """The time at which the policy's calendar starts; None for the current time."""
    update_takes: timedelta
    scenario: NetworkScenario
    """How the simulated network behaves for all SIMs and accounts that are not in `scenarios`."""
    scenarios: Mapping[str, NetworkScenario]
    """The simulated network's scenarios for single SIMs and accounts, by SID."""
    data_per_day: int
    """The data that each connected SIM uses per day, in MB."""
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
    stopped_at_most: timedelta
    """How long a callback waits behind an open breaker or a hold before it is given up."""
    backlog: int
    backlog_per_account: int
    response_storage: int
    """The most bytes of receiver responses that are stored for all accounts."""
    response_storage_per_account: int
    """The most bytes of receiver responses that are stored for one account."""
    rate_limit: int | None
    """The most API requests of an account per second; None for no limit."""
    stream_limit: int
    """The most sinks of an account at each source, and the most subscriptions."""
    stream_validation: bool
    """True if a sink of type kinesis at twilio has to be validated."""
    stream_wait: timedelta
    """How long a batch of events from kore waits for more events."""
    stream_type_prefix: str
    """The beginning of the types of events from kore: `com.twilio` or `com.kore`."""
    twilio_egress: Egress
    kore_egress: Egress
    egress_of_source: Mapping[SourceName, Egress]
    """The egress routes of the added sources that have one, by source."""
    egress: Mapping[str, Egress]
    """The egress routes that a callback URL can name with `#e=`, by name."""
    shadows: tuple[ShadowRule, ...]
    """The rules for shadow copies, in order: the first rule that covers a callback applies."""
    destinations: tuple[DestinationRule, ...]
    """What is set for destinations."""
    retention: StoredTimes
    """How long what is kept, for the whole server and for single accounts."""
    extra_ca_file: Path | None
    client_cert_file: Path | None
    client_key_file: Path | None
    kinesis_endpoint: str | None
    """The URL of a service in place of AWS's Kinesis and STS; None for AWS."""
    seal_key: str | None = field(repr=False)
    seal_key_file: Path | None
    lame_duck: timedelta
    drain: timedelta
    warn_before: tuple[timedelta, ...]
    log_format: str
    log_level: str

    @property
    def policy_part(self) -> PolicyPart:
        """The policy in the settings file, and where it is from."""
        return PolicyPart(self.policy, self.policy_origin)

    @property
    def connections_wanted(self) -> DescriptorShares:
        """The most incoming and outgoing connections, if the limit on open files allows them."""
        return DescriptorShares(
            incoming=self.max_connections, outgoing=outgoing_wanted(self.at_once)
        )

    @property
    def hands_over_socket(self) -> bool:
        """True if another process may serve on this process's socket at the same time."""
        return self.fd is not None and self.database is not None

    @property
    def guard(self) -> SsrfGuard:
        """The networks, ports and schemes that callbacks may go to."""
        return SsrfGuard(self.allow, self.callback_ports, self.callback_schemes)

    @property
    def storage_budget(self) -> ResponseStorageBudget:
        """The most bytes of long receiver responses that are stored, in all and per account."""
        return ResponseStorageBudget(self.response_storage, self.response_storage_per_account)

    @property
    def streams(self) -> StreamSettings:
        """What the settings say about event streams."""
        return StreamSettings(
            most=self.stream_limit,
            has_beta_flow=self.stream_validation,
            kore_wait=self.stream_wait,
            has_kore_prefix=self.stream_type_prefix == "com.kore",
        )

    @property
    def simulation(self) -> SimulationSettings:
        """The settings of the simulated network."""
        return SimulationSettings(
            takes=self.update_takes,
            devices=self.devices,
            data_per_day=self.data_per_day * MEGABYTE,
            seed=self.seed,
            scenarios={**self.scenarios, EVERYONE: self.scenario},
        )

    @property
    def egresses(self) -> Egresses:
        """The egress routes of the sources, and the ones that callback URLs can name."""
        own: dict[SourceName, Egress] = {
            Source.TWILIO: self.twilio_egress,
            Source.KORE: self.kore_egress,
            **self.egress_of_source,
        }
        return Egresses(by_source=own, named=self.egress)
