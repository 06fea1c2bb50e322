"""The databases: each implements `ports.Store`, and passes the same conformance tests.

May import `runtime`, `ports` and `core`; only `application` and `storage` import a store.
Start with `sqlite/store`.
"""
