"""The Super SIM API, version 1.

May import the same as `api`, but nothing from `wireless`.
Start with `sims`.
"""
