"""KORE's own APIs: tokens, API clients, accounts, webhook secrets.

May import what `api` may.
Start with `webhook_secrets`.
"""
