"""Sources of callbacks: their headers, signatures and idempotency tokens.

May import the standard library and the rest of `core`.
Start with `source_definition`.
"""
