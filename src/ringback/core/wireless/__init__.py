"""Programmable Wireless: its resources, their life cycles, and the events that callbacks report.

May import the standard library and the rest of `core`, but not `supersim`.
Start with `sim`.
"""
