"""Callback URLs: what their fragments ask for, and what goes on the wire.

May import what `core` may.
Start with `callback_url`.
"""
