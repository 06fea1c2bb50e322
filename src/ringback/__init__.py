"""Ringback sends the callbacks of IoT SIM platforms and migrates receivers from Twilio to KORE.

May import what each package's docstring lists; `docs/architecture.md` describes the layers.
Start with `docs/architecture.md`, then `delivery/delivery_loop.py`.
"""

__version__ = "0.1.0"
