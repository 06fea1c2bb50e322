"""`ringback verify`: whether a captured request is genuine, and if not, why not.

May import what `cli` may.
Start with `command`.
"""
