"""The events that callbacks report, and the parameters with which each event is sent.

May import the standard library and the rest of `core`.
Start with `payload`.
"""
