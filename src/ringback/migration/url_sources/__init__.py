"""The URL sources: a Ringback's own data, an account's API, source code, a table.

May import the same packages as `migration`.
Start with `file_url_source`.
"""
