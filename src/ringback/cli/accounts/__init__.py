"""`ringback accounts`: who may use the server, and by which credentials.

May import what `cli` may.
Start with `command`.
"""
