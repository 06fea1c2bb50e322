"""The kinds of event, and how a callback's parameters show its kind of event and its SIM."""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple

from ringback.core.sids import SidKind


class DestinationEventKind(StrEnum):
    """The kinds of events about a destination."""

    FAILING = "destination.failing"
    """The share of its failed requests is that at which a breaker opens."""
    OPENED = "destination.opened"
    """Its breaker has opened: nothing is sent but probes."""
    RECOVERED = "destination.recovered"
    """A probe was answered, so its breaker has closed."""
    PAUSED = "destination.paused"
    """The account, or the operator, has paused it."""
    DISABLED = "destination.disabled"
    """It gets nothing any more until somebody resumes it."""
    TEST = "destination.test"
    """Somebody tests whether it gets callbacks."""
    EXHAUSTED = "callback.exhausted"
    """A callback to it has failed: it is not sent again unless somebody replays it."""


class EventMark(NamedTuple):
    """Identifies a family of callbacks, such as those about commands, by their parameters."""

    parameter: str
    """A parameter that only this family has."""
    sid: str
    """The parameter with a SID; its prefix says which member of the family the callback is."""


# The kinds have the names that `ringback trigger` uses.
MARKS: Final[Mapping[EventMark, Mapping[str, str]]] = {
    EventMark("EsimProfileSid", sid="EsimProfileSid"): {SidKind.ESIM_PROFILE: "esim"},
    EventMark("CommandSid", sid="CommandSid"): {
        SidKind.SMS_COMMAND: "sms",
        SidKind.IP_COMMAND: "ip",
        SidKind.COMMAND: "command",
    },
    EventMark("SimStatus", sid="SimSid"): {SidKind.SIM: "sim", SidKind.WIRELESS_SIM: "wireless"},
}
"""The families of callbacks, and the kinds of event in each by the prefix of the SID.

Their order matters: a callback about a message has a SimSid too.
"""

TEST_EVENT: Final = "test_event"
"""The kind of KORE's test event, which has no parameters."""
STREAM_EVENTS: Final = "connection"
"""The kind of a batch of a stream: events about the connections of SIMs."""
OF_DESTINATIONS: Final = frozenset(kind.value for kind in DestinationEventKind)
"""The kinds of events about destinations; `event_and_sim` does not know them."""
EVENT_KINDS: Final = (
    *(kind for kinds in MARKS.values() for kind in kinds.values()),
    TEST_EVENT,
    STREAM_EVENTS,
    *(kind.value for kind in DestinationEventKind),
)
"""The names of all kinds of events."""

_FAMILIES: Final = [
    (f"&{mark.parameter}=", f"&{mark.sid}=", kinds) for mark, kinds in MARKS.items()
]
_SIM: Final = re.compile(r"(?:HS|DE)[0-9a-fA-F]{32}(?![^&])")


def event_and_sim(body: str) -> tuple[str | None, str | None]:
    """Return the kind of event that a callback reports, and the SID of the SIM that it is about.

    `body` has the callback's encoded parameters. The kind is None if they don't belong to an event
    that Ringback knows, and the SID is None if they don't have a SIM's SID in SimSid. If a name
    repeats, its last value counts.

    >>> event_and_sim("SimSid=HS000102030405060708090a0b0c0d0e0f&SimStatus=active")
    ('sim', 'HS000102030405060708090a0b0c0d0e0f')
    """
    # Searched as text, because this is needed for each new callback, and decoding takes longer.
    # Names and SIDs have no characters that are escaped.
    form = f"&{body}"
    sim = _SIM.match(form.rpartition("&SimSid=")[2])
    for parameter, sid, kinds in _FAMILIES:
        if parameter in form:
            kind = kinds.get(form.rpartition(sid)[2][:2])
            if kind is not None:
                return kind, sim and sim[0]
    return None, sim and sim[0]
