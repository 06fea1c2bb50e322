"""Event streams: CloudEvents about SIMs, for the webhooks and Kinesis streams of subscribers.

May import the standard library and the rest of `core`. A *sink* is where events go, at Twilio a
Sink, at KORE a destination. A *subscription* says which: a Subscription, or a streaming rule.
Start with `stream_event`.
"""
