"""Where callback URLs are configured: a data file, an account's API, source code, a table.

May import what `migration` may.
Start with `file_url_source`.
"""
