"""From an event to the callback that tells it: payload, source and token, chosen for good."""

from datetime import datetime
from typing import Final

from ringback.core.callback import Callback, Method
from ringback.core.callback_url import CallbackUrl
from ringback.core.events import Event
from ringback.core.payload import encode, parameters_of
from ringback.core.sids import SID_BYTES, Kind, make_sid
from ringback.core.source import Transition
from ringback.core.tokens import TOKEN_BYTES, make_token

ANNOUNCEMENT_BYTES: Final = SID_BYTES + TOKEN_BYTES
"""How many bytes of chance an announcement needs."""


def announce(
    event: Event,
    *,
    to: CallbackUrl,
    method: Method,
    transition: Transition,
    chance: bytes,
    now: datetime,
) -> Callback:
    """Return the callback, due at once, that tells this event to this URL."""
    choice = transition.choose(to.source, now=now, account_sid=event.account_sid, url=to.wire)
    return Callback(
        sid=make_sid(Kind.CALLBACK, chance[:SID_BYTES]),
        account_sid=event.account_sid,
        url=to,
        method=method,
        body=encode(parameters_of(event)),
        source=choice.source,
        source_asked=choice.asked,
        source_reason=choice.reason,
        idempotency_token=make_token(choice.source, chance[SID_BYTES:]),
        date_created=now,
        date_updated=now,
        due=now,
    )
