"""Move callback URLs from one source to another: inventory, plan, apply, canary, revert.

May import `operations`, `ports` and `core`, but not the probe: the caller passes it in as a
readiness check.
Start with `plan`, then `executor`.
"""
