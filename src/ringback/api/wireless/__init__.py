"""The Programmable Wireless API, version 1.

May import the same as `api`, but nothing from `supersim`.
Start with `sims`.
"""
