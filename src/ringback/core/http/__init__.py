"""HTTP requests of callbacks: exchanges, outcomes, allowed addresses and egress routes.

May import the standard library and the rest of `core`.
Start with `outcome`.
"""
