"""The operations that API and CLI offer: each is one function that runs in one transaction.

May import `ports` and `core`.
Start with `context`, then `create_callbacks`; `task_handlers` has the work that comes due later.
"""
