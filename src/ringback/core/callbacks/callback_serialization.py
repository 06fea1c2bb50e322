"""Converts new callbacks to text and back.

A large batch of new callbacks is first saved as text. Later, each callback gets its database row.
"""

import json
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, cast

from ringback.core.callback_urls.callback_url import CallbackUrl, HttpMethod
from ringback.core.callbacks.callback import CallbackRecord, DeliveryProgress
from ringback.core.events.event_kinds import event_and_sim
from ringback.core.policy.source_policy import source_named
from ringback.core.sources.body_encoding import BodyEncoding, encoded_as

_MAY_LACK: Final = frozenset({3, 8, 11, 13, 14, 15})
"""Positions of the fields that may be None.

They are the credentials, the source asked for, the key, the due time, the author and the order key.
"""
_AFTER_BODY: Final = 9
"""The number of fields after the body; the last two are missing in texts of earlier versions."""


def write_new(callback: CallbackRecord) -> str:
    """Return a new callback as JSON text, which `read_new` can read."""
    url = callback.url
    due = callback.progress.due
    return json.dumps(
        [
            callback.sid,
            callback.account_sid,
            url.shown,
            url.credentials,
            write_warnings(url),
            callback.method,
            callback.body,
            callback.source,
            callback.source_asked,
            callback.source_reason,
            callback.idempotency_token,
            callback.idempotency_key,
            callback.date_created.isoformat(),
            due and due.isoformat(),
            callback.created_by,
            callback.order_key,
        ]
    )


def read_new(text: str) -> CallbackRecord:
    """Return the callback from a text that `write_new` made; raises ValueError for other text."""
    fields = json.loads(text)
    if not isinstance(fields, list):
        raise ValueError("the stored callback is not a list")
    for place, one in enumerate(cast("list[object]", fields)):
        if not isinstance(one, str) and not (one is None and place in _MAY_LACK):
            raise ValueError(f"field {place} is {one!r}, which is not text")
    sid, account_sid, shown, credentials, warnings, method, body, *rest = cast("list[Any]", fields)
    if len(rest) >= _AFTER_BODY - 2:
        rest += [None] * (_AFTER_BODY - len(rest))
    source, asked, reason, token, key, created, due, created_by, order_key = rest
    date_created = datetime.fromisoformat(created)
    try:
        url = read_url(shown, credentials, warnings)
    except TypeError:
        raise ValueError(f"the URL's warnings are {warnings!r}, which is not a list") from None
    # Not part of the text, so that texts from before there were these fields have them too.
    event, sim_sid = event_and_sim(encoded_as(BodyEncoding.FORM, body))
    return CallbackRecord(
        sid=sid,
        account_sid=account_sid,
        url=url,
        method=HttpMethod(method),
        body=body,
        source=source_named(source),
        source_asked=asked and source_named(asked),
        source_reason=reason,
        idempotency_token=token,
        date_created=date_created,
        progress=DeliveryProgress(date_created, due=due and datetime.fromisoformat(due)),
        idempotency_key=key,
        event=event,
        sim_sid=sim_sid,
        created_by=created_by,
        order_key=order_key,
    )


# Most callbacks go to a few URLs, and parsing a URL takes as long as the rest of a callback.
@lru_cache(maxsize=4096)
def read_url(shown: str, credentials: str | None, warnings: str) -> CallbackUrl:
    """Return the callback URL that was saved as these three texts; `warnings` is a JSON list."""
    url = CallbackUrl.read_back(shown).with_credentials(credentials)
    return replace(url, warnings=tuple(json.loads(warnings)))


def write_warnings(url: CallbackUrl | None) -> str:
    """Return the warnings of a callback URL as a JSON list, which `read_url` can read."""
    return json.dumps(url.warnings) if url and url.warnings else "[]"
