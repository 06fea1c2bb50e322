"""Accounts, the credentials that sign in to them, and the secrets that sign their callbacks.

May import the standard library and the rest of `core`.
Start with `account`.
"""
