"""An HTTP/1.1 client that sends requests byte for byte, only where the SSRF guard allows it.

May import `runtime`, and from `core` the requests, answers and egress routes, but not callbacks.
Start with `http_sender`, then `connector`, `dialer` and `http_connection`.
"""
