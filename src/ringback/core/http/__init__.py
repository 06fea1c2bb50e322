"""What goes over HTTP, and how it can end: exchanges, outcomes, allowed addresses, ways out.

May import what `core` may.
Start with `outcome`.
"""
