"""`ringback migrate`: moves callback URLs to another source by a plan, and back.

Start with `command`.
"""
