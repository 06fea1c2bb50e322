"""Shadows: copies of callbacks sent from another source, and the comparison of their answers.

May import the standard library and the rest of `core`.
Start with `shadow`.
"""
