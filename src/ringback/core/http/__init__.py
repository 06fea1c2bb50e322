"""HTTP requests of callbacks: exchanges, outcomes, allowed addresses and egress routes.

May import what `core` may.
Start with `outcome`.
"""
