"""What the migrations need that SQL has no words for: functions of one column's value."""

import json
import re

from ringback.core.callback_url import CallbackUrl


def destination_of(url: str) -> str:
    """Return where a callback URL leads to."""
    return CallbackUrl.read_back(url).destination


def head_of_request(text: str | None) -> str | None:
    """Return the head of a request that was kept as JSON: method, URL, headers, body."""
    if text is None:
        return None
    method, url, headers, _ = json.loads(text)
    target = re.sub(r"^[^:]+://[^/?]*", "", url)
    target = target if target.startswith("/") else f"/{target}"
    return "\r\n".join([f"{method} {target} HTTP/1.1", *map(": ".join, headers)])


def head_of_response(text: str | None) -> str | None:
    """Return the head of an answer that was kept as JSON: status, headers, whether it is cut."""
    if text is None:
        return None
    status, headers, _ = json.loads(text)
    return "\n".join([str(status), *map(": ".join, headers)])
