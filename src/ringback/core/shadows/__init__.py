"""Shadows: copies of callbacks from another source, and how their answers compare.

May import what `core` may.
Start with `shadow`.
"""
