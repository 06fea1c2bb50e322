"""`ringback dev`: the whole system on a laptop, and what it says when it is up.

Start with `command`.
"""
