"""A callback from its creation to its end: its exact request, its attempts and its retries.

May import the standard library and the rest of `core`.
Start with `callback`, then `create_callback`, `rendering` and `retry`.
"""
