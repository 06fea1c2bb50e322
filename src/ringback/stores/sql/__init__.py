"""The tables of the stores, as far as all databases have them in common, and their SQL.

May import the same packages as `stores`, but not the folder of a database.
Start with `write_batch`, then `record_tables` and `callbacks`.
"""
