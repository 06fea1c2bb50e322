"""The delivery of callbacks: queued, claimed fairly, sent, settled, tried again.

May import `ports`, `runtime` and `core`; the HTTP client is a port to it.
Start with `delivery_loop`, which is the whole way in one module.
"""
