"""The URL sources that a migration can edit: Ringback's own data, an API, code, CSV tables.

May import the same packages as `migration`.
Start with `file_url_source`.
"""
