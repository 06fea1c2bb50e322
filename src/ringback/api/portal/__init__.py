"""Ringback's own API: what became of callbacks, replays, devices to play, the policy, the clock.

May import what `api` may.
Start with `callbacks`.
"""
