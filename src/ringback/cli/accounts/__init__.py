"""`ringback accounts`: accounts and their credentials, in the data folder itself.

Start with `command`.
"""
