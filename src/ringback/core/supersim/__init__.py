"""Super SIM: its resources, their life cycles, and the events that callbacks report.

May import the standard library and the rest of `core`, but not `wireless`.
Start with `sim`.
"""
