"""Sources of callbacks: their headers, signatures and idempotency tokens.

May import what `core` may.
Start with `source_definition`.
"""
