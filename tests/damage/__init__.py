"""Damaged files: refused with a clear message, or read correctly; never silently wrong."""
