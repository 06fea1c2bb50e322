"""Runs a server's loops: carries out due tasks, starts and stops in order, advances the clock.

May import `delivery`, `operations` and whatever these may import.
Start with `supervisor`.
"""
