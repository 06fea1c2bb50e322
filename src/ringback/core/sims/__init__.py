"""What both SIM products have alike: messages, data, mobile networks, simulated failures.

May import what `core` may, and neither product.
Start with `scenario`.
"""
