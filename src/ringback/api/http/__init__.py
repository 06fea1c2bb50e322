"""The HTTP/1.1 server in front of the APIs: strict about requests, bounded in all it holds.

May import `core/http` and `api/errors`; it knows nothing of callbacks or accounts.
Start with `server`; `request_head` has the grammar, `connection` the life of one client.
"""
