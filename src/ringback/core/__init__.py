"""All decisions, as pure code: no clock, randomness, input, output or await.

May import only the standard library.
Start with `callbacks/callback`, then `policy/source_policy` and `callbacks/retry`.
"""
