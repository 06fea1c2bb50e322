"""What a customer can ask of Programmable Wireless, and what becomes of it.

May import what `operations` may, and nothing of `supersim`.
Start with `sims`, then `sim_lifecycle`.
"""
