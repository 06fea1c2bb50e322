"""HTTP requests of callbacks: exchanges, outcomes, allowed addresses, egress routes and profiles.

May import the standard library and the rest of `core`.
Start with `outcome`.
"""
