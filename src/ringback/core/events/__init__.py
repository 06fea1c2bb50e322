"""The events that callbacks report, and the parameters with which each event is sent.

May import what `core` may.
Start with `payload`.
"""
