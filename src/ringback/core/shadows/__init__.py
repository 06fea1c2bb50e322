"""Shadows: copies of callbacks sent from another source, and the comparison of their answers.

May import what `core` may.
Start with `shadow`.
"""
