"""Ringback's own API (the portal): callbacks, replays, simulated devices, the policy, the clock.

May import the same as `api`.
Start with `callbacks`.
"""
