"""The policy while a server runs: the active one, its reloading, and warnings of what is ahead.

May import `ports`, `runtime` and `core`; it knows no settings.
Start with `active_policy`.
"""
