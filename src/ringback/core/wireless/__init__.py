"""Programmable Wireless: its resources, their life cycles, and the events that callbacks report.

May import what `core` may, but nothing of `supersim`.
Start with `sim`.
"""
