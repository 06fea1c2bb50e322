"""The HTTP/1.1 server for the APIs. It parses requests strictly, and limits sizes and times.

May import `core/http` and `api/errors`; it knows nothing of callbacks or accounts.
Start with `server`, then read `connection` and `request_head`.
"""
