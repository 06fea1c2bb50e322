"""`ringback device`: plays the device of a SIM, over UDP where that is possible.

Start with `command`.
"""
