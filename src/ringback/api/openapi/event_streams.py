"""Describes Twilio's Events API, for its OpenAPI document."""

from typing import Final

from ringback.api.host_routing import EVENTS
from ringback.api.openapi.callbacks import ProductApiDescription

_REQUESTS: Final = """\
* **Events** go to a sink as CloudEvents 1.0. The body of each request is a JSON array, also if it
  has only one event; a record of a Kinesis stream is one event. The URL has the parameter
  `bodySHA256` at its end, and `X-Twilio-Signature` signs this URL. The JSON Schema of an event's
  `data` is at the URL `raw` of a schema version."""

PRODUCT: Final = ProductApiDescription("Event Streams", EVENTS, {}, _REQUESTS)
