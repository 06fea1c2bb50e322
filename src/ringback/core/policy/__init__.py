"""The dated policy that picks the source of each callback, and the changes on its dates.

May import what `core` may.
Start with `source_policy`.
"""
