"""Destinations: their settings, states and events.

May import other packages of `core`.
Start with `destination_settings`, which lists the settings.
"""
