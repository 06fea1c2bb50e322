"""The store in a PostgreSQL database, which several processes can share.

May import the same packages as `stores`, and psycopg.
Start with `store`, then `group_commit`, `callbacks` and `cluster`.
"""
