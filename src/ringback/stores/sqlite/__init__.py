"""The store in an SQLite file, which belongs to one process; one thread commits for all callers.

May import the same packages as `stores`.
Start with `store`, then `group_commit` and `callbacks`.
"""
