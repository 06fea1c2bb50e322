"""Delivers callbacks: queues and claims them fairly, sends them, saves results, and retries.

May import `ports`, `runtime` and `core`; it uses the HTTP client through a port.
Start with `delivery_loop`, which has all steps of a delivery.
"""
