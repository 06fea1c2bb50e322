"""`ringback policy`: which source sends what and when, and how to change that.

May import what `cli` may.
Start with `command`.
"""
