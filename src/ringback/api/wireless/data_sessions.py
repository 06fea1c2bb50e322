"""The Programmable Wireless operation at `/v1/Sims/{sid}/DataSessions`."""

from datetime import datetime
from typing import Final, NamedTuple

from ringback.api.endpoint_group import ApiRequest, Listing, WirelessEndpointGroup
from ringback.api.operation_definition import ApiOperation
from ringback.api.schema_pieces import INSTANT, TEXT, number, object_of, one_of, or_null, sid_of
from ringback.api.serializers import Serializer, field, maybe, worked_out
from ringback.core.calendar import ALWAYS
from ringback.core.sids import SidKind
from ringback.core.wireless.data_session import WirelessDataSession
from ringback.core.wireless.radio import (
    PLACES,
    DataSessionLocation,
    RadioTechnology,
    cell_of,
    imei_of,
)
from ringback.operations.wireless.sims import fetch_sim
from ringback.ports import PageWindow, RecordPage, Transaction


class DataSessionSnapshot(NamedTuple):
    """A Data Session as it was at the time `now`."""

    session: WirelessDataSession
    now: datetime

    @property
    def sid(self) -> str:
        """The SID of the session."""
        return self.session.sid

    @property
    def end(self) -> datetime | None:
        """The end of the session; None if it has not ended at the time `now`."""
        ended = self.session.date_ended
        return ended if ended is not None and ended <= self.now else None

    @property
    def identifiers(self) -> tuple[str, str]:
        """The mobile country code and the mobile network code of the session's network."""
        return self.session.network.identifiers[0]

    @property
    def place(self) -> DataSessionLocation:
        """The approximate location of the device."""
        return PLACES[self.session.network.iso_country]


DATA_SESSION: Final = Serializer[DataSessionSnapshot](
    "wireless_data_session",
    "data_sessions",
    *(field("sid", sid_of(SidKind.DATA_SESSION)), field("sim_sid", attribute="session.sim_sid")),
    field("account_sid", sid_of(SidKind.ACCOUNT), "session.account_sid"),
    field("radio_link", one_of(RadioTechnology), "session.radio_link"),
    worked_out("operator_mcc", TEXT, lambda seen: seen.identifiers[0]),
    worked_out("operator_mnc", TEXT, lambda seen: seen.identifiers[1]),
    field("operator_country", attribute="place.code"),
    field("operator_name", attribute="session.network.friendly_name"),
    worked_out("cell_id", TEXT, lambda seen: cell_of(seen.session.iccid, seen.session.network)),
    worked_out(
        "cell_location_estimate",
        object_of(lat={"type": "number"}, lon={"type": "number"}),
        lambda seen: {"lat": seen.place.lat, "lon": seen.place.lon},
    ),
    worked_out("packets_uploaded", number(0), lambda seen: seen.session.packets(seen.now)[0]),
    worked_out("packets_downloaded", number(0), lambda seen: seen.session.packets(seen.now)[1]),
    worked_out("last_updated", INSTANT, lambda seen: seen.session.last_updated(seen.now)),
    field("start", INSTANT, "session.date_created"),
    maybe("end", INSTANT),
    worked_out("imei", or_null(TEXT), lambda seen: imei_of(seen.session.iccid)),
)


class DataSessionEndpoints(WirelessEndpointGroup):
    """The operation on Data Sessions."""

    def operations(self) -> list[ApiOperation]:
        """Return the operation that lists a SIM's Data Sessions."""
        sessions = self.on("/wireless/v1/Sims/{sid}/DataSessions", "DataSession", DATA_SESSION)
        return [sessions.lists_for("List a SIM's Data Sessions, newest first.", self._list)]

    def _list(self, call: ApiRequest) -> Listing[DataSessionSnapshot]:
        now = self._dependencies.clock.now()

        def listing(
            tx: Transaction, account_sid: str, window: PageWindow
        ) -> RecordPage[DataSessionSnapshot]:
            which = {"sim_sid": fetch_sim(tx, account_sid, call.sid).sid}
            sessions = tx.wireless.sessions.between(account_sid, which, *ALWAYS, window)
            return RecordPage(
                (DataSessionSnapshot(each, now) for each in sessions), sessions.stopped_at
            )

        return listing
