"""The receiver of `ringback listen`: takes callbacks, verifies, shows and answers them.

May import `receiver`, `ports`, `runtime` and `core`.
Start with `handler`.
"""
