"""The dated policy that picks the source of each callback, and the changes on its dates.

May import the standard library and the rest of `core`.
Start with `source_policy`.
"""
