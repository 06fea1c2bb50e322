"""A callback from its making to its end: the exact request, its attempts, its retries.

May import what `core` may.
Start with `callback`, then `create_callback`, `rendering` and `retry`.
"""
