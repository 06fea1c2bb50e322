"""Operations on event streams: sinks, subscriptions, and the events that they get.

Twilio's Events API and the portal use the same operations, each for the streams of its source.
Start with `publish`.
"""
