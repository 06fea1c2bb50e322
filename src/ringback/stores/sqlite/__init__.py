"""The store in an SQLite file, owned by one process; one thread commits for all callers.

May import what `stores` may.
Start with `store`, then `group_commit` and `callbacks`.
"""
