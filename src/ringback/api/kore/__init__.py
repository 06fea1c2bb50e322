"""KORE's own APIs: tokens, API clients, accounts, webhook secrets.

May import the same as `api`.
Start with `webhook_secrets`.
"""
