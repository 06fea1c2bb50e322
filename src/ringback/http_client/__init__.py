"""An HTTP/1.1 client that sends exact bytes, and only to addresses that the SSRF guard allows.

May import `runtime`, and from `core` the requests, answers and egress routes, but not callbacks.
Start with `http_sender`, then `connector`, `dialer` and `http_connection`.
"""
