"""Network Access Profiles: which mobile networks the SIMs of a fleet may use."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class NetworkAccessProfile:
    """A named list of networks."""

    sid: str
    account_sid: str
    unique_name: str | None
    network_sids: tuple[str, ...]
    """In the order in which they were added; without any, the SIMs may use all there are."""
    date_created: datetime
    date_updated: datetime
