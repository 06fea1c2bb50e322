"""`ringback dev`: the whole system on a laptop.

May import what `cli` may.
Start with `command`.
"""
