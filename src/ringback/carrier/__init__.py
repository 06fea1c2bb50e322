"""The mobile network behind the SIM APIs: simulated, or real datagrams over UDP.

May import `ports`, `runtime` and `core`.
Start with `udp_gateway`.
"""
