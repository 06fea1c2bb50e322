"""The HTTP/1.1 server in front of the APIs: it parses requests strictly and limits its resources.

May import `core/http` and `api/errors`; it knows nothing of callbacks or accounts.
Start with `server`; `request_head` has the grammar, `connection` the life of one connection.
"""
