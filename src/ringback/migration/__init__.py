"""Move callback URLs from one source to another: list them, plan, apply, watch, revert.

May import `operations`, `ports`, `receiver` and `core`. The caller passes in the readiness check.
Start with `plan`, then `executor`.
"""
