"""What a customer can ask for: each operation is one function and one transaction.

May import `ports` and `core`.
Start with `context`, then `create_callbacks`; `task_handlers` is what comes due by itself.
"""
