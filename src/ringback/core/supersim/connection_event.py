"""The events about a Super SIM's connection, which event streams get, and the usage in them.

Names and meanings are from Twilio's catalogue of event types and a real `data-session.updated`.
Which optional fields the other types have, which error comes with which type, the value of
`data_modifier`, and all values that describe the device and its cell are our choice.

Times in an event have no fraction (a real event has none), so that of each instant is left out.
Usage is calculated from the exact instants (`usage_windows`); adjoining windows still adjoin in the
events, because the end of one and the start of the next are the same instant.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ringback.core.calendar import iso
from ringback.core.sids import SidKind
from ringback.core.sims.data_session import DataSession
from ringback.core.sims.mobile_networks import CITIES, MobileNetwork
from ringback.core.sims.scenario import CarrierFailure
from ringback.core.sims.simulated_network import SimulationSettings
from ringback.core.streams.event_types import StreamEventType
from ringback.core.streams.stream_event import StreamEvent, compact
from ringback.core.supersim.esim_profile import check_digit
from ringback.core.supersim.sim import SimStatus, SuperSim
from ringback.core.supersim.usage_windows import UsageWindow

APN: Final = "super"
"""The name of the access point that Super SIMs use."""
RADIO: Final = "4G LTE"
"""The radio technology of all connections; the vendors' other values are unknown."""
BLOCKED: Final = "blocked"
"""The `data_modifier` of a session that the data limit has ended; the real values are unknown."""

_IMSI_PREFIX: Final = "732123"
_TYPE_ALLOCATION_CODE: Final = "35860084"
"""The beginning of all IMEIs, which names the device's model (3GPP TS 23.003, 6.2)."""
_SILENT: Final = 5
"""One network of this number does not pass on the IMEI."""
_SCATTER: Final = 100_000
"""How far from the city a cell can be, in millionths of a degree; half of it each way."""

REFUSED_STATUSES: Final = {
    SimStatus.NEW: CarrierFailure(83704, "Attachment Rejected Due To SIM In New State"),
    SimStatus.INACTIVE: CarrierFailure(83705, "Attachment Rejected Due To SIM In Inactive State"),
}
"""The statuses in which a SIM can't attach, and the errors that its device gets."""
_INTERNAL_ERRORS: Final = {
    83700: StreamEventType.ATTACHMENT_FAILED,
    83701: StreamEventType.SESSION_FAILED,
}
_HAS_RADIO: Final = frozenset(StreamEventType) - {
    StreamEventType.ATTACHMENT_REJECTED,
    StreamEventType.ATTACHMENT_FAILED,
}
_HAS_ACCESS_POINT: Final = _HAS_RADIO - {StreamEventType.ATTACHMENT_ACCEPTED}


@dataclass(frozen=True, slots=True, kw_only=True)
class SimConnection:
    """A Super SIM's device in a network, as events describe it."""

    sim: SuperSim
    fleet_sid: str | None
    imsi: str
    imei: str | None
    """The device's number; None if the network does not pass it on."""
    network: MobileNetwork | None
    cell: Mapping[str, object] | None
    """What events say about the location."""

    @classmethod
    def of(
        cls,
        sim: SuperSim,
        fleet_sid: str | None,
        network: MobileNetwork | None,
        simulation: SimulationSettings,
    ) -> "SimConnection":
        """Return a SIM's connection; the same card and network always give the same values."""
        imei = None
        if network is not None and simulation.lot(f"imei {network.sid}") % _SILENT:
            digits = f"{_TYPE_ALLOCATION_CODE}{simulation.lot(f'imei {sim.iccid}') % 10**6:06}"
            imei = digits + check_digit(digits)
        return cls(
            sim=sim,
            fleet_sid=fleet_sid,
            imsi=f"{_IMSI_PREFIX}{simulation.lot(f'imsi {sim.iccid}') % 10**9:09}",
            imei=imei,
            network=network,
            cell=None if network is None else _cell(sim.iccid, network, simulation),
        )

    def event(
        self,
        type_: StreamEventType,
        sid: str,
        at: datetime,
        *,
        session: DataSession | None = None,
        usage: UsageWindow | None = None,
        ended: datetime | None = None,
        modifier: str | None = None,
        failure: CarrierFailure | None = None,
    ) -> StreamEvent:
        """Return the event with this SID about something that happened at this instant.

        `session` is its data session, `usage` what that has used, and `ended` when it ended.
        `failure` says why an attempt did not succeed.
        """
        data = {
            "event_sid": sid,
            "event_type": type_,
            "timestamp": iso(at),
            "account_sid": self.sim.account_sid,
            "sim_sid": self.sim.sid,
            "sim_iccid": self.sim.iccid,
            **_known(sim_unique_name=self.sim.unique_name, fleet_sid=self.fleet_sid),
            "imsi": self.imsi,
            "imei": self.imei,
            **({} if self.network is None else {"network": _fields_of(self.network)}),
            **({"apn": APN} if type_ in _HAS_ACCESS_POINT else {}),
            **({"rat_type": RADIO} if type_ in _HAS_RADIO else {}),
            **_known(ip_address=None if session is None else self.sim.device_ip),
            "location": None if session is None else self.cell,
            **({} if session is None else _session_fields(session, ended)),
            **({} if usage is None else _usage_fields(usage)),
            **_known(data_modifier=modifier),
            **({} if failure is None else {"error": _error_fields(failure)}),
        }
        return StreamEvent(sid, self.sim.account_sid, self.sim.sid, type_, at, compact(data))


def type_of_failure(failure: CarrierFailure) -> StreamEventType:
    """Return the type of the event about an attempt that did not succeed.

    >>> type_of_failure(CarrierFailure(83703, "Attachment Rejected Due To Rate Limiting")).short
    'attachment.rejected'
    """
    return _INTERNAL_ERRORS.get(failure.code, StreamEventType.ATTACHMENT_REJECTED)


def shown_sid(session_sid: str) -> str:
    """Return the SID that events have for a data session; elsewhere it has another prefix.

    >>> shown_sid("WN00000000000000000000000000000000")
    'PI00000000000000000000000000000000'
    """
    return f"PI{session_sid.removeprefix(SidKind.DATA_SESSION)}"


def _known(**fields: str | None) -> dict[str, str]:
    return {name: value for name, value in fields.items() if value is not None}


def _fields_of(network: MobileNetwork) -> dict[str, str]:
    mcc, mnc = network.identifiers[0]
    return {
        "mcc": mcc,
        "mnc": mnc,
        "sid": network.sid,
        "friendly_name": network.friendly_name,
        "iso_country": network.iso_country,
    }


def _cell(
    iccid: str, network: MobileNetwork, simulation: SimulationSettings
) -> Mapping[str, object]:
    lot = simulation.lot(f"cell {network.sid} {iccid}")
    lat, lon = CITIES[network.iso_country]
    north, east = (number % _SCATTER - _SCATTER // 2 for number in (lot >> 16, lot >> 40))
    return {
        "cell_id": str(lot % 2**28),
        "lac": str(simulation.lot(f"lac {network.sid} {iccid}") % 65_534 + 1),
        "lat": round(lat + north / 10**6, 6),
        "lon": round(lon + east / 10**6, 6),
    }


def _session_fields(session: DataSession, ended: datetime | None) -> dict[str, str]:
    return {
        "data_session_sid": shown_sid(session.sid),
        "data_session_start_time": iso(session.date_created),
        **_known(data_session_end_time=None if ended is None else iso(ended)),
    }


def _usage_fields(usage: UsageWindow) -> dict[str, str | int]:
    return {
        "data_session_update_start_time": iso(usage.start),
        "data_session_update_end_time": iso(usage.end),
        "data_upload": usage.upload,
        "data_download": usage.download,
        "data_total": usage.upload + usage.download,
        "data_session_data_upload": usage.session_upload,
        "data_session_data_download": usage.session_download,
        "data_session_data_total": usage.session_upload + usage.session_download,
    }


def _error_fields(failure: CarrierFailure) -> dict[str, object]:
    return {"code": failure.code, "message": failure.message}
