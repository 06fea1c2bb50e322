"""The OpenAPI documents, made from the tables of operations, and the page that shows them.

May import what `api` may, and not the handlers behind the operations.
Start with `document`.
"""
