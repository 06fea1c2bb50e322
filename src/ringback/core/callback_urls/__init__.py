"""Callback URLs: the settings in their fragments, and the part of the URL that is sent.

May import what `core` may.
Start with `callback_url`.
"""
