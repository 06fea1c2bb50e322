"""Destinations: what can be set for them, and what becomes of them.

Start reading at `destination_settings`, which lists the settings.
"""
