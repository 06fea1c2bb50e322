"""One SQLite file, owned by one process; one thread commits for all who wait.

May import what `stores` may.
Start with `store`, then `group_commit` and `callbacks`.
"""
