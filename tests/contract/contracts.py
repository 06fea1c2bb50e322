"""The contracts of the APIs: one for each vendor's version of each product."""

from collections.abc import Callable
from typing import Final, NamedTuple

from ringback.api.all_routes import (
    event_stream_operations,
    supersim_operations,
    wireless_operations,
)
from ringback.api.dependencies import ApiDependencies
from ringback.api.host_routing import EVENTS, SUPER_SIM, WIRELESS
from ringback.api.operation_definition import ApiOperation
from tests.contract import (
    events_table,
    events_world,
    supersim_table,
    supersim_world,
    wireless_table,
    wireless_world,
)
from tests.contract.published import Description, description, is_there
from tests.contract.tables import Row
from tests.contract.worlds import World
from tests.memory_store import MemoryStore
from tests.unit.api.caller import Caller
from tests.unit.api.world import dependencies_on


class Contract(NamedTuple):
    """A vendor's version of a product's API."""

    name: str
    file: str
    """The file with the vendor's published description of it."""
    host: str
    """The host at which a bare `/v1/…` path is this version's."""
    table: tuple[Row, ...]
    """The same API in our own words."""
    world: World
    prefix: str
    operations_on: Callable[[ApiDependencies], list[ApiOperation]]
    has_samples: bool = True
    """True if the file has samples; a file without any has other operation names and errors."""
    is_in_order: bool = True
    """True if our fields are in the order of the file."""

    async def caller_for(self, asked: str = "", name: str = "") -> Caller:
        """Return a caller whose account has everything that this request names."""
        return await self.world.caller_for(self.host, asked, name)

    def operations(self) -> list[ApiOperation]:
        """Return our operations."""
        return self.operations_on(dependencies_on(MemoryStore()))

    @property
    def published(self) -> Description:
        """Return the content of the file."""
        return description(self.file)


_OF_SUPER_SIM: Final = (supersim_table.TABLE, supersim_world.WORLD, SUPER_SIM, supersim_operations)
_OF_WIRELESS: Final = (wireless_world.WORLD, WIRELESS, wireless_operations)

CONTRACTS: Final = (
    Contract(
        "Super SIM by Twilio", "twilio_supersim_v1.json", "supersim.twilio.com", *_OF_SUPER_SIM
    ),
    Contract(
        "Super SIM by KORE",
        "kore-supersim-v1.json",
        "supersim.api.korewireless.com",
        *_OF_SUPER_SIM,
    ),
    Contract(
        "Programmable Wireless by Twilio",
        "twilio_wireless_v1.json",
        "wireless.twilio.com",
        wireless_table.TWILIO,
        *_OF_WIRELESS,
        is_in_order=False,
    ),
    Contract(
        "Programmable Wireless by KORE",
        "kore-programmable-wireless-v1.json",
        "programmable-wireless.api.korewireless.com",
        wireless_table.KORE,
        *_OF_WIRELESS,
        has_samples=False,
        is_in_order=False,
    ),
    Contract(
        "Event Streams by Twilio",
        "twilio_events_v1.json",
        "events.twilio.com",
        events_table.TABLE,
        events_world.WORLD,
        EVENTS,
        event_stream_operations,
    ),
)
PUBLISHED: Final = [contract for contract in CONTRACTS if is_there(contract.file)]
"""The contracts whose files are beside the checkout."""


def name_of(contract: Contract) -> str:
    """Return the name of a contract in tests."""
    return contract.name
