"""Runs the loops of a server, carries out due tasks, and advances the clock.

May import `delivery`, `operations` and whatever these may import.
Start with `supervisor`.
"""
