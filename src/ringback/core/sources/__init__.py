"""A source of callbacks: its headers, its signature, its idempotency tokens.

May import what `core` may.
Start with `source_definition`.
"""
