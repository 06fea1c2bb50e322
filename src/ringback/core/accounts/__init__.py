"""Accounts, the credentials that sign in to them, and the secrets that sign their callbacks.

May import what `core` may.
Start with `account`.
"""
