"""Ringback sends the callbacks of IoT SIM platforms, and moves their receivers."""

__version__ = "0.1.0"
