"""`ringback migrate`: moves callback URLs to another source by a plan, and back.

May import what `cli` may.
Start with `command`.
"""
