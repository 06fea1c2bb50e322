"""The dated policy that picks the source of each callback, and what it changes and when.

May import what `core` may.
Start with `source_policy`.
"""
