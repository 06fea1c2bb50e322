"""What the document of one API is about."""

from typing import NamedTuple

from ringback.api.openapi.callbacks import Callbacks, DescribedCallback


class Product(NamedTuple):
    """A SIM product: it has an API and a document of its own."""

    name: str
    prefix: str
    """What its paths have in front, which says that they are its."""
    callbacks: Callbacks

    @property
    def described(self) -> list[DescribedCallback]:
        """All callbacks that it sends."""
        return [described for group in self.callbacks.values() for described in group]
