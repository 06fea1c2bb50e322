"""Ringback sends the callbacks of IoT SIM platforms and migrates receivers from Twilio to KORE.

May import nothing; each package lists what it may import.
Start with `docs/architecture.md`, which describes the layers, then `delivery/delivery_loop.py`.
"""

__version__ = "0.1.0"
