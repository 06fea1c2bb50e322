"""Moving callback URLs from one source to another: inventory, plan, apply, canary, revert.

May import `operations`, `ports` and `core`; not the probe, which is handed in.
Start with `plan`, then `executor`.
"""
