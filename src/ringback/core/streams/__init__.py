"""Event streams: CloudEvents about SIMs, which go to webhooks and Kinesis streams of subscribers.

A *sink* is where events go: Twilio's Sink, KORE's destination. A *subscription* says which events
go to a sink: Twilio's Subscription with its SubscribedEvents, KORE's streaming rule. A *batch* is
a request with one or more events; it is delivered like any callback. Start with `stream_event`.
"""
