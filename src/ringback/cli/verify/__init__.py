"""`ringback verify`: check whether a captured request is genuine, and if not, say why.

May import what `cli` may.
Start with `command`.
"""
