"""KORE's own APIs: tokens, API clients, accounts, webhook secrets."""
