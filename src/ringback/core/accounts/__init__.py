"""Accounts, and what proves who somebody is: to us, and to the receivers of callbacks.

May import what `core` may.
Start with `account`.
"""
