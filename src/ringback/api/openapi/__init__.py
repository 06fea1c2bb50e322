"""Builds the OpenAPI documents from the lists of operations, and serves a page to browse them.

May import the same as `api`, but not the handlers of the operations.
Start with `document`.
"""
