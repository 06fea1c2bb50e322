"""Runs a server's loops: carries out due tasks, starts and stops in order, advances the clock.

May import `delivery`, `operations` and what is below them.
Start with `supervisor`.
"""
