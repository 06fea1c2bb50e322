"""For those who receive callbacks. Needs the standard library alone."""
