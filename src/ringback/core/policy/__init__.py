"""The dated policy that picks the source of each callback, and what it changes and when; pure.

Imports the standard library and `core`. Start with `source_policy`.
"""
