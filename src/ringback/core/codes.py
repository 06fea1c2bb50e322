"""The codes with which an API refuses what every API can refuse.

Source: the vendors' lists of error codes. What only one product knows, it refuses with its own.
"""

from typing import Final, NamedTuple


class Codes(NamedTuple):
    """The codes of one API."""

    invalid: int
    """A value that can't be used."""
    missing: int
    """A parameter that has to be given."""
    paging: int
    """A page that there can't be."""
    name_taken: int
    """A unique name that another record has."""


SUPER_SIM: Final = Codes(invalid=83600, missing=20002, paging=83600, name_taken=83011)
"""Those of Super SIM, and of our own portal."""
PLATFORM: Final = Codes(invalid=20001, missing=20002, paging=20001, name_taken=20001)
"""Those of KORE's global resources: accounts, API clients and webhook secrets."""
WIRELESS: Final = Codes(invalid=33101, missing=33102, paging=33103, name_taken=33101)
"""Those of Programmable Wireless, which has none for a name that is taken."""
