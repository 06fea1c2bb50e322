"""The read-only lists of Super SIM: Settings Updates, Billing Periods, IP addresses and usage."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from ringback.api.endpoint_group import ApiRequest, EndpointGroup, Listing
from ringback.api.operation_definition import (
    ApiOperation,
    OperationParameter,
    PageResponseSchema,
    filtered,
)
from ringback.api.paging import PAGING, cut, read_paging
from ringback.api.request_parameters import RequestParameters
from ringback.api.schema_pieces import (
    INSTANT,
    TEXT,
    list_of,
    number,
    object_of,
    one_of,
    or_null,
    sid_of,
)
from ringback.api.serializers import ACCOUNT_SID, DATES, Serializer, field, maybe, worked_out
from ringback.core.calendar import iso
from ringback.core.form_encoding import as_field
from ringback.core.sids import SidKind, is_sid
from ringback.core.supersim.settings_update import OtaSettingsUpdate, OtaSettingsUpdateStatus
from ringback.core.supersim.sim import SuperSim
from ringback.core.supersim.usage import (
    BillingPeriod,
    BillingPeriodType,
    UsageGranularity,
    UsageGrouping,
    UsageRecord,
    plan_query,
    summarize,
)
from ringback.operations.supersim.billing import list_billing_periods
from ringback.operations.supersim.data_sessions import sessions_of
from ringback.operations.supersim.settings_updates import list_settings_updates
from ringback.operations.supersim.sims import fetch_sim
from ringback.ports import Transaction

_ONE_SIM: Final = "/supersim/v1/Sims/{sid}"


class SimIpAddress(NamedTuple):
    """The IP address of a SIM's device, as a record to serialize."""

    sid: str
    """The IP address, which serves as the SID in page tokens."""


SETTINGS_UPDATE: Final = Serializer[OtaSettingsUpdate](
    "settings_update",
    "settings_updates",
    field("sid", sid_of(SidKind.SETTINGS_UPDATE)),
    field("iccid"),
    field("sim_sid", sid_of(SidKind.SIM)),
    field("status", one_of(OtaSettingsUpdateStatus)),
    worked_out(
        "packages",
        list_of(object_of(name=TEXT, version=TEXT, more_info=TEXT)),
        lambda update: [package._asdict() for package in update.packages],
    ),
    maybe("date_completed", INSTANT),
    *DATES,
)

BILLING_PERIOD: Final = Serializer[BillingPeriod](
    "billing_period",
    "billing_periods",
    field("sid", sid_of(SidKind.BILLING_PERIOD)),
    ACCOUNT_SID,
    field("sim_sid", sid_of(SidKind.SIM)),
    field("start_time", INSTANT),
    field("end_time", INSTANT),
    field("period_type", one_of(BillingPeriodType)),
    *DATES,
)

IP_ADDRESS: Final = Serializer[SimIpAddress](
    "sim_ip_address",
    "ip_addresses",
    field("ip_address", TEXT, "sid"),
    worked_out("ip_address_version", {"type": "string", "enum": ["IPv4"]}, lambda _: "IPv4"),
)


def _of(name: str, kind: SidKind | None = None) -> Any:
    """Return a function that gets an attribute of a Usage Record by its name.

    The function returns None if the record has no such attribute, or if the attribute should be a
    SID and is not a valid one.
    """

    def value(record: UsageRecord) -> str | None:
        text = record.of.get(name)
        is_right = text is None or kind is None or is_sid(text, kind)
        return text if is_right else None

    return value


USAGE_RECORD: Final = Serializer[UsageRecord](
    "usage_record",
    "usage_records",
    field("account_sid", sid_of(SidKind.ACCOUNT)),
    worked_out("sim_sid", or_null(sid_of(SidKind.SIM)), _of("sim_sid", SidKind.SIM)),
    worked_out(
        "network_sid", or_null(sid_of(SidKind.NETWORK)), _of("network_sid", SidKind.NETWORK)
    ),
    worked_out("fleet_sid", or_null(sid_of(SidKind.FLEET)), _of("fleet_sid", SidKind.FLEET)),
    worked_out("iso_country", or_null(TEXT), _of("iso_country")),
    worked_out(
        "period",
        object_of(start_time=INSTANT, end_time=INSTANT),
        lambda record: {"start_time": record.start, "end_time": record.end},
    ),
    field("data_upload", number(0), "upload"),
    field("data_download", number(0), "download"),
    worked_out("data_total", number(0), lambda record: record.upload + record.download),
    worked_out("data_total_billed", TEXT, lambda record: record.billed),
    worked_out(
        "billed_unit", or_null(TEXT), lambda record: None if record.billed == "0" else "USD"
    ),
)

_SETTINGS_FILTERS: Final = (
    filtered("Sim", "Only updates of the SIM with this SID or unique name."),
    filtered("Status", "Only updates with this status.", OtaSettingsUpdateStatus),
)
_USAGE: Final = (
    OperationParameter("Sim", TEXT, "Only data of the SIM with this SID or unique name."),
    OperationParameter(
        "Fleet", TEXT, "Only data of the SIMs in the fleet with this SID or unique name."
    ),
    OperationParameter("Network", TEXT, "Only data used on the network with this SID."),
    OperationParameter("IsoCountry", TEXT, "Only data used in this country (ISO 3166-1 alpha-2)."),
    OperationParameter(
        "Group",
        one_of(UsageGrouping),
        "The field by which usage is split into records (default: none).",
    ),
    OperationParameter(
        "Granularity",
        one_of(UsageGranularity),
        "The length of a record's period (default all: one record for the whole time).",
    ),
    OperationParameter(
        "StartTime",
        INSTANT,
        "The start of the usage (default: a month before EndTime); in UTC if it has no zone.",
    ),
    OperationParameter(
        "EndTime",
        INSTANT,
        "The end of the usage, exclusive (default: now); in UTC if it has no zone.",
    ),
)


class ReadOnlyEndpoints(EndpointGroup):
    """The operations that list records which clients cannot create or change."""

    def operations(self) -> list[ApiOperation]:
        """Return operations that list Settings Updates, Billing Periods, IP addresses and usage."""
        updates = self.on("/supersim/v1/SettingsUpdates", "SettingsUpdate", SETTINGS_UPDATE)
        periods = self.on(f"{_ONE_SIM}/BillingPeriods", "BillingPeriod", BILLING_PERIOD)
        addresses = self.on(f"{_ONE_SIM}/IpAddresses", "SimIpAddress", IP_ADDRESS)
        return [
            updates.lists(
                "List Settings Updates, newest first.", list_settings_updates, *_SETTINGS_FILTERS
            ),
            periods.lists_for("List a SIM's Billing Periods, newest first.", _billing_periods),
            addresses.lists_for("List the IP addresses of a SIM's device.", _ip_addresses),
            self.answers(
                *("/supersim/v1/UsageRecords", "ListUsageRecord"),
                "List the amounts of data used in each period, newest period first.",
                *(PageResponseSchema(USAGE_RECORD), self._usage_records),
                takes=(*_USAGE, *PAGING),
            ),
        ]

    async def _usage_records(self, call: ApiRequest) -> dict[str, Any]:
        parameters, account_sid = call.given, call.account_sid
        paging, now = read_paging(parameters), self._dependencies.clock.now()
        filters = await self.read(
            account_sid, lambda tx: _usage_filters(tx, account_sid, parameters)
        )
        query = plan_query(
            start=parameters.instant_or_utc("StartTime"),
            end=parameters.instant_or_utc("EndTime"),
            granularity=parameters.choice("Granularity", UsageGranularity) or UsageGranularity.ALL,
            group=parameters.choice("Group", UsageGrouping),
            filters=filters,
            now=now,
        )
        sessions = await self._all(
            account_sid, lambda tx, window: sessions_of(tx, account_sid, query, window)
        )
        records = cut(summarize(account_sid, query, sessions, now), paging.window)
        # So that all pages cover the same time, however late a client requests the next one.
        paging = paging.about(StartTime=iso(query.start), EndTime=iso(query.end))
        return await self.page_of(USAGE_RECORD, records, paging, call.request)


def _billing_periods(call: ApiRequest) -> Listing[BillingPeriod]:
    return lambda tx, account_sid, window: list_billing_periods(
        tx, account_sid, fetch_sim(tx, account_sid, call.sid).sid, window
    )


def _ip_addresses(call: ApiRequest) -> Listing[SimIpAddress]:
    return lambda tx, account_sid, window: cut(
        _addresses_of(fetch_sim(tx, account_sid, call.sid)), window
    )


def _addresses_of(sim: SuperSim) -> list[SimIpAddress]:
    return [] if sim.device_ip is None else [SimIpAddress(sim.device_ip)]


def _usage_filters(
    tx: Transaction, account_sid: str, query: RequestParameters
) -> Mapping[str, str]:
    """Return the filters for data sessions; an unknown SIM or fleet matches no session."""
    filters = dict[str, str]()
    for name, records in (("Sim", tx.supersim.sims), ("Fleet", tx.supersim.fleets)):
        asked = query.text(name)
        if asked is not None:
            found = records.find(account_sid, asked)
            filters[f"{as_field(name)}_sid"] = asked if found is None else found.sid
    network, country = query.text("Network"), query.text("IsoCountry")
    if network is not None:
        filters["network_sid"] = network
    if country is not None:
        filters["iso_country"] = country.upper()
    return filters
