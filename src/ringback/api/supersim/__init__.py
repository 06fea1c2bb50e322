"""The Super SIM API, version 1.

May import what `api` may, and nothing of `wireless`.
Start with `sims`.
"""
