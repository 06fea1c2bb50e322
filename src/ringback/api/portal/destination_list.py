"""Which destinations a list has, in which order, and where its pages begin."""

from enum import StrEnum
from typing import Final, NamedTuple

from ringback.api.operation_definition import OperationParameter
from ringback.api.portal.callbacks import LONGEST_TEXT, read_text
from ringback.api.portal.destination_json import DestinationStatus
from ringback.api.request_parameters import RequestParameters
from ringback.api.schema_pieces import one_of, text
from ringback.core.errors import InvalidParameter
from ringback.core.sids import SidKind, is_sid
from ringback.ports import Lane

_WELL: Final = "well "
"""What page tokens of the second part of a list begin with."""


class DestinationListOrder(StrEnum):
    """In which order destinations are listed."""

    NAME = "name"
    """By account and name."""
    TROUBLE = "trouble"
    """First those that are not `well`, then the others, each by account and name."""


WANTED: Final = (
    OperationParameter(
        "State", one_of(DestinationStatus), "Only destinations that are in this state."
    ),
    OperationParameter(
        "Text",
        text(longest=LONGEST_TEXT),
        "Only destinations with this text in their scheme, host, port or path pattern.",
    ),
    OperationParameter(
        "Order",
        one_of(DestinationListOrder),
        "`trouble` to list first all that are not `well`; default: by account and name.",
    ),
)
"""The parameters that say which destinations are listed."""


class DestinationListPlace(NamedTuple):
    """Where a page of a list begins."""

    after: Lane | None = None
    is_well: bool = False
    """True in the second part of the order `trouble`: that of destinations that are well."""

    @classmethod
    def parse(cls, token: str | None, given: RequestParameters) -> "DestinationListPlace":
        """Return the place that a page token means, or the first one without a token.

        Raises InvalidParameter if it is not a page token.
        """
        if not token:
            return FIRST_PLACE
        is_well, rest = token.startswith(_WELL), token.removeprefix(_WELL)
        if is_well and not rest:
            return SECOND_PART
        account_sid, _, destination = rest.partition(" ")
        if not is_sid(account_sid, SidKind.ACCOUNT) or not destination:
            raise InvalidParameter(
                f"PageToken={token[:80]!a} is not a page token; use the next_page_token of a page",
                code=given.codes.paging,
            )
        return cls(Lane(account_sid, destination), is_well)

    @property
    def token(self) -> str:
        """The page token of this place."""
        return f"{_WELL if self.is_well else ''}{' '.join(self.after or ())}"


FIRST_PLACE: Final = DestinationListPlace()
SECOND_PART: Final = DestinationListPlace(is_well=True)


class WantedDestinations(NamedTuple):
    """Which destinations a list has, and in which order."""

    status: DestinationStatus | None
    text: str
    """What their names contain, in lower case; empty for all."""
    order: DestinationListOrder

    @classmethod
    def read(cls, given: RequestParameters) -> "WantedDestinations":
        """Return the destinations that a request asks for."""
        return cls(
            given.choice("State", DestinationStatus),
            (read_text(given) or "").lower(),
            given.choice("Order", DestinationListOrder) or DestinationListOrder.NAME,
        )

    @property
    def are_few(self) -> bool:
        """True if many destinations may have to be looked at for one that is listed."""
        return bool(self.status or self.text) or self._has_parts

    @property
    def _has_parts(self) -> bool:
        return self.order is DestinationListOrder.TROUBLE

    def names(self, lane: Lane) -> bool:
        """Return True if the name of a lane's destination has the text."""
        return self.text in lane.destination.lower()

    def has(self, status: DestinationStatus, place: DestinationListPlace) -> bool:
        """Return True if a destination with this status is in this part of the list."""
        if self.status not in (None, status):
            return False
        return not self._has_parts or place.is_well is (status is DestinationStatus.WELL)

    def next_place(
        self, place: DestinationListPlace, last: Lane | None
    ) -> DestinationListPlace | None:
        """Return where the list goes on after the lane `last`; None at the end of the list.

        `last` is None if no lane follows in this part.
        """
        if last is not None:
            return place._replace(after=last)
        return SECOND_PART if self._has_parts and not place.is_well else None
