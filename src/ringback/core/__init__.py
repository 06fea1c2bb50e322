"""Every decision: plain values in and plain values out; no clock, chance, I/O or await.

May import the standard library alone.
Start with `callbacks/callback`, then `policy/source_policy` and `callbacks/retry`.
"""
