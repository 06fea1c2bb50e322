"""Every decision: plain values in and plain values out. No clock, chance, I/O or await."""
