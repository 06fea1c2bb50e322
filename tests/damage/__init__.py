"""Damaged files: refused with a clear message, or served right; never silently wrong."""
