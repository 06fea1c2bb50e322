"""Programmable Wireless: its resources, their life cycles, and what its customers are told.

May import what `core` may, and nothing of `supersim`.
Start with `sim`.
"""
