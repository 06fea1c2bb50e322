"""Twilio's Events API: sinks, subscriptions, and the types and schemas of events.

It is the API by which customers of Twilio set up Event Streams (events.twilio.com/v1). KORE has no
API for its streams; the portal has one.
"""
