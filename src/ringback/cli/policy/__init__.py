"""`ringback policy`: shows, simulates and changes the policy.

Start with `command`.
"""
