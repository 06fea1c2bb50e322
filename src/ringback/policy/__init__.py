"""The policy of a running server: the active one, its reloading, and warnings before it changes.

May import `ports`, `runtime` and `core`, but not `settings`.
Start with `active_policy`.
"""
