"""Databases: each answers `ports.Store`, and passes the same conformance suite.

May import `runtime`, `ports` and `core`; only `application` and `storage` import a store.
Start with `sqlite/store`.
"""
