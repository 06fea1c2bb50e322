"""The Programmable Wireless operations that list Usage Records of an account or a SIM."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from ringback.api.endpoint_group import ApiRequest, WirelessEndpointGroup
from ringback.api.host_routing import is_at_kore
from ringback.api.operation_definition import ApiOperation, OperationParameter, PageResponseSchema
from ringback.api.paging import PAGING, cut, read_paging
from ringback.api.schema_pieces import (
    FLAG,
    INSTANT,
    META,
    TEXT,
    URL_OR_EMPTY,
    Schema,
    list_of,
    number,
    object_of,
    one_of,
    or_null,
    sid_of,
)
from ringback.api.serializers import SerializedField, Serializer, field, worked_out
from ringback.core.calendar import iso
from ringback.core.sids import SidKind
from ringback.core.sims.data_session import price_of
from ringback.core.sims.message import Direction
from ringback.core.wireless.rate_plan import RoamingZone
from ringback.core.wireless.usage import (
    UsagePeriod,
    UsageTotals,
    WirelessUsage,
    WirelessUsageGranularity,
    WirelessUsageQuery,
    plan_query,
    summarize,
)
from ringback.operations.wireless.sims import fetch_sim


def _number(amount: Decimal) -> float:
    return float(amount) if amount else 0


def _count(used: UsageTotals, *ways: Direction) -> int:
    return sum(used.commands.get(way, 0) for way in ways)


_BILLING_UNITS: Final = worked_out("billing_units", TEXT, lambda _: "USD")
_PRICE: Final[Schema] = {"type": "number"}
# Commands cost nothing, as in the published samples.
_COMMANDS: Final = Serializer[UsageTotals](
    "commands",
    "",
    _BILLING_UNITS,
    worked_out("billed", _PRICE, lambda _: 0),
    worked_out("total", number(0), lambda used: _count(used, *Direction)),
    worked_out("from_sim", number(0), lambda used: _count(used, Direction.FROM_SIM)),
    worked_out("to_sim", number(0), lambda used: _count(used, Direction.TO_SIM)),
)
_DATA: Final = Serializer[UsageTotals](
    "data",
    "",
    _BILLING_UNITS,
    worked_out("billed", _PRICE, lambda used: _number(price_of(used.upload + used.download))),
    worked_out("total", number(0), lambda used: used.upload + used.download),
    field("upload", number(0)),
    field("download", number(0)),
    worked_out("units", TEXT, lambda _: "bytes"),
)


def _by_place(name: str, of: Serializer[UsageTotals]) -> SerializedField[Any]:
    """Return a field that shows the totals of all usage and of the usage in each roaming zone."""
    shape, show = of.schema["properties"], of.show_by(str)
    place, abroad = object_of(**shape), object_of(country_code=TEXT, **shape)
    places = {
        RoamingZone.HOME.value: place,
        RoamingZone.NATIONAL.value: place,
        RoamingZone.INTERNATIONAL.value: list_of(abroad),
    }

    def value(record: WirelessUsage) -> dict[str, object]:
        return {
            **show(record.used_in(*RoamingZone)),
            RoamingZone.HOME.value: show(record.used_in(RoamingZone.HOME)),
            RoamingZone.NATIONAL.value: show(record.used_in(RoamingZone.NATIONAL)),
            RoamingZone.INTERNATIONAL.value: [
                {"country_code": country, **show(used)} for country, used in record.abroad()
            ],
        }

    return worked_out(name, object_of(**shape, **places), value)


_USED: Final[list[SerializedField[Any]]] = [
    field("account_sid", sid_of(SidKind.ACCOUNT)),
    _by_place("commands", _COMMANDS),
    _by_place("data", _DATA),
    worked_out(
        "period",
        object_of(start=INSTANT, end=INSTANT),
        lambda record: {"start": record.slot.start, "end": record.slot.end},
    ),
]
ACCOUNT_USAGE: Final = Serializer[WirelessUsage]("account_usage_record", "usage_records", *_USED)
SIM_USAGE: Final = Serializer[WirelessUsage](
    "wireless_usage_record", "usage_records", field("sim_sid", sid_of(SidKind.WIRELESS_SIM)), *_USED
)
_META: Final[Schema] = {
    **META,
    "properties": {
        **META["properties"],
        "next_page_url": or_null(URL_OR_EMPTY),
        "previous_page_url": or_null(URL_OR_EMPTY),
        "list_key": {**TEXT, "description": "The same as `key`; only with KORE's host names."},
        "direct_token": {**FLAG, "description": "Always false; only with KORE's host names."},
    },
}


def _kores_meta(meta: dict[str, Any]) -> dict[str, Any]:
    """Return the `meta` object of a list of Usage Records in KORE's form.

    KORE documents this form only for Usage Records. It has empty strings instead of null, and two
    more fields that KORE does not explain.
    """
    without_null = {name: "" if value is None else value for name, value in meta.items()}
    # `direct_token` is false, since our page tokens contain a record's SID instead of a position.
    return {**without_null, "list_key": meta["key"], "direct_token": False}


_GRANULARITY: Final = OperationParameter(
    "Granularity",
    one_of(WirelessUsageGranularity),
    "The length of a record's period (default all: one record for the whole time).",
)
_USAGE: Final = (
    OperationParameter(
        "Start",
        INSTANT,
        "The start of the usage (default: a month before End); in UTC if it has no zone.",
    ),
    OperationParameter(
        "End", INSTANT, "The end of the usage (default: now); in UTC if it has no zone."
    ),
    _GRANULARITY,
)


class WirelessUsageEndpoints(WirelessEndpointGroup):
    """The operations that list Usage Records."""

    def operations(self) -> list[ApiOperation]:
        """Return the operations that list Usage Records."""
        asked = (*_USAGE, *PAGING)
        return [
            self.answers(
                *("/wireless/v1/UsageRecords", "ListAccountUsageRecord"),
                "List the usage of the account's SIMs in each period, newest period first.",
                *(PageResponseSchema(ACCOUNT_USAGE, _META), self._of_account),
                takes=asked,
            ),
            self.answers(
                *("/wireless/v1/Sims/{sid}/UsageRecords", "ListUsageRecord"),
                "List the usage of a SIM in each period, newest period first.",
                *(PageResponseSchema(SIM_USAGE, _META), self._of_sim),
                takes=asked,
            ),
        ]

    async def _of_account(self, call: ApiRequest) -> dict[str, Any]:
        return await self._usage(call, None, ACCOUNT_USAGE)

    async def _of_sim(self, call: ApiRequest) -> dict[str, Any]:
        sim = await self.read(
            call.account_sid, lambda tx: fetch_sim(tx, call.account_sid, call.sid)
        )
        return await self._usage(call, sim.sid, SIM_USAGE)

    async def _usage(
        self, call: ApiRequest, sim_sid: str | None, shown: Serializer[WirelessUsage]
    ) -> dict[str, Any]:
        paging, now = read_paging(call.given), self._dependencies.clock.now()
        granularity = call.given.choice("Granularity", WirelessUsageGranularity)
        start, end = call.given.instant_or_utc("Start"), call.given.instant_or_utc("End")
        question = plan_query(start, end, granularity or WirelessUsageGranularity.ALL, now)
        slots = cut(question.slots(), paging.window)
        records = await self._summed(call.account_sid, sim_sid, question, slots, now)
        # So that all pages cover the same time, however late a client requests the next one.
        paging = paging.about(Start=iso(question.start), End=iso(question.end))
        page = await self.page_of(shown, records, paging, call.request)
        if is_at_kore(call.request):
            page["meta"] = _kores_meta(page["meta"])
        return page

    async def _summed(
        self,
        account_sid: str,
        sim_sid: str | None,
        question: WirelessUsageQuery,
        slots: Sequence[UsagePeriod],
        now: datetime,
    ) -> list[WirelessUsage]:
        """Return a Usage Record for each period; `sim_sid` is None for the whole account."""
        if not slots:
            return []
        which, start, end = {"sim_sid": sim_sid}, slots[-1].start, slots[0].end
        sessions = await self._all(
            account_sid,
            lambda tx, window: tx.wireless.sessions.between(account_sid, which, start, end, window),
        )
        counts = await self.read(
            account_sid, lambda tx: tx.wireless.command_uses.count(account_sid, sim_sid, question)
        )
        return summarize(account_sid, sim_sid, slots, sessions=sessions, counts=counts, now=now)
