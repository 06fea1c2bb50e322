"""Twilio's Events API in our own words; `tables` explains the notation."""

from typing import Final

from tests.contract.tables import Row, deleted, fetched, listed, made, updated

SINK: Final = {
    "date_created": "time",
    "date_updated": "time",
    "description": "text",
    "sid": "DG",
    "sink_configuration": "destination,method,batch_events",
    "sink_type": "kinesis|webhook",
    "status": "initialized|validating|active|failed",
    "url": "url",
    "links": "sink_test,sink_validate",
}
SUBSCRIPTION: Final = {
    "account_sid": "AC",
    "sid": "DF",
    "date_created": "time",
    "date_updated": "time",
    "description": "text",
    "sink_sid": "DG",
    "url": "url",
    "links": "subscribed_events,",
}
SUBSCRIBED_EVENT: Final = {
    "account_sid": "AC",
    "type": "text",
    "schema_version": "number",
    "subscription_sid": "DF",
    "url": "url",
}
EVENT_TYPE: Final = {
    "type": "text",
    "schema_id": "text",
    "date_created": "time",
    "date_updated": "time",
    "description": "text",
    "status": "available|deprecated|restricted|discontinued",
    "documentation_url": "url?",
    "url": "url",
    "links": "schema,",
}
SCHEMA: Final = {
    "id": "text",
    "url": "url",
    "links": "versions,",
    "latest_version_date_created": "time",
    "latest_version": "number",
}
SCHEMA_VERSION: Final = {
    "id": "text",
    "schema_version": "number",
    "date_created": "time",
    "url": "url",
    "raw": "url",
}
_ONE: Final = "/v1/Subscriptions/{Sid}"
_TYPES: Final = "/v1/Subscriptions/{SubscriptionSid}/SubscribedEvents"
_VERSIONS: Final = "/v1/Schemas/{Id}/Versions"
_OLD: Final = ("ReceiveEventsFromSubaccounts+", "Filter+")

TABLE: Final = (
    listed("/v1/Types", EVENT_TYPE, "types", "SchemaId"),
    fetched("/v1/Types/{Type}", EVENT_TYPE),
    fetched("/v1/Schemas/{Id}", SCHEMA),
    listed(_VERSIONS, SCHEMA_VERSION, "schema_versions"),
    fetched(f"{_VERSIONS}/{{SchemaVersion}}", SCHEMA_VERSION),
    made("/v1/Sinks", SINK, "Description*", "SinkConfiguration*", "SinkType*"),
    listed("/v1/Sinks", SINK, "sinks", "InUse", "Status"),
    fetched("/v1/Sinks/{Sid}", SINK),
    updated("/v1/Sinks/{Sid}", SINK, "Description*"),
    deleted("/v1/Sinks/{Sid}"),
    made("/v1/Sinks/{Sid}/Test", {"result": "text"}),
    made("/v1/Sinks/{Sid}/Validate", {"result": "text"}, "TestId*"),
    made("/v1/Subscriptions", SUBSCRIPTION, "Description*", "SinkSid*", "Types*", *_OLD),
    listed("/v1/Subscriptions", SUBSCRIPTION, "subscriptions", "SinkSid"),
    fetched(_ONE, SUBSCRIPTION),
    updated(_ONE, SUBSCRIPTION, "Description", "SinkSid+", *_OLD),
    deleted(_ONE),
    Row("POST", _TYPES, (201, 200), SUBSCRIBED_EVENT, None, ("Type*", "SchemaVersion")),
    listed(_TYPES, SUBSCRIBED_EVENT, "types"),
    fetched(f"{_TYPES}/{{Type}}", SUBSCRIBED_EVENT),
    updated(f"{_TYPES}/{{Type}}", SUBSCRIBED_EVENT, "SchemaVersion"),
    deleted(f"{_TYPES}/{{Type}}"),
)
