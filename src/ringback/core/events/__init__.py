"""What callbacks report: the union of all events, and the parameters that they are sent as.

May import what `core` may.
Start with `payload`.
"""
