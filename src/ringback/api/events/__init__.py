"""Twilio's Events API, version 1, by which customers set up Event Streams; KORE has none.

May import the same as `api`, but nothing from `supersim` and `wireless`.
Start with `sinks`.
"""
