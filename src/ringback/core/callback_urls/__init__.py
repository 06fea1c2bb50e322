"""Callback URLs: the settings in their fragments, and the part of the URL that is sent.

May import the standard library and the rest of `core`.
Start with `callback_url`.
"""
