"""Super SIM: its resources, their life cycles, and the events that callbacks report.

May import what `core` may, but nothing of `wireless`.
Start with `sim`.
"""
