"""The Programmable Wireless API, version 1.

May import what `api` may, and nothing of `supersim`.
Start with `sims`.
"""
