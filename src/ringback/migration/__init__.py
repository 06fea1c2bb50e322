"""Move callback URLs from one source to another: list them, plan, apply, watch, revert.

May import `operations`, `ports` and `core`. The caller passes in the probe's readiness check.
Start with `plan`, then `executor`.
"""
