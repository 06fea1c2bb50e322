"""Destinations: what can be set for them, and what becomes of them.

May import other packages of `core`.
Start with `destination_settings`, which lists the settings.
"""
