"""The policy of a running server: the active one, its versions, and warnings before it changes.

May import `ports`, `runtime` and `core`, but not `settings`.
Start with `active_policy`, then `stored_policy`.
"""
