"""Super SIM: its resources, their life cycles, and what its customers are told.

May import what `core` may, and nothing of `wireless`.
Start with `sim`.
"""
