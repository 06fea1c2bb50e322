"""The test event that KORE's portal sends to try a URL: a JSON array with one CloudEvent.

The names, their order and the lack of spaces follow the sample in KORE's documentation
(docs.korewireless.com/developers/how-to/webhooks/validate-webhook-signatures).
"""

import json
from datetime import datetime
from typing import Final

from ringback.core.sources.idempotency_tokens import TOKEN_BYTES, uuid4_text

TEST_EVENT_BYTES: Final = 2 * TOKEN_BYTES + 1
"""The number of random bytes needed to create a test event."""

TEST_EVENT_TYPE: Final = "com.kore.eventstreams.test.event"
"""The type of the test event that KORE's portal sends to try a URL."""


def write_test_event(random_bytes: bytes, *, at: datetime) -> str:
    """Return a new test event as JSON text, with the UTC time `at`."""
    # The sample's time has seven digits after the dot, one more than our clock gives.
    seventh_digit = random_bytes[-1] % 10
    event = {
        "data": {"test_id": uuid4_text(random_bytes[:TOKEN_BYTES])},
        "id": uuid4_text(random_bytes[TOKEN_BYTES:-1]),
        "time": f"{at:%Y-%m-%dT%H:%M:%S.%f}{seventh_digit}+00:00",
        "type": TEST_EVENT_TYPE,
        "source": "kore-events",
        "dataschema": "/schemas/test/1",
        "specversion": "1.0",
        "datacontenttype": "application/json",
    }
    return json.dumps([event], separators=(",", ":"))
