"""What a customer can ask of Super SIM, and what becomes of it.

May import what `operations` may, and nothing of `wireless`.
Start with `sims`, then `sim_lifecycle`.
"""
