"""`ringback device`: plays the device of a SIM.

May import what `cli` may.
Start with `command`.
"""
