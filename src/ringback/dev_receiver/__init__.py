"""The receiver of `ringback listen`: receives, verifies, shows and answers callbacks.

May import `receiver`, `ports`, `runtime` and `core`.
Start with `handler`.
"""
