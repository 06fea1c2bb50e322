"""Ringback sends the callbacks of IoT SIM platforms, and moves their receivers.

May import: every package says what it may; `docs/architecture.md` has the layers.
Start with `docs/architecture.md`, then `delivery/delivery_loop.py`.
"""

__version__ = "0.1.0"
