"""Parts that both SIM products share: messages, data, mobile networks, simulated failures.

May import what `core` may, but neither product.
Start with `scenario`.
"""
