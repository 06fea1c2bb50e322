"""`ringback verify`: says whether a captured request is genuine.

Start with `command`.
"""
