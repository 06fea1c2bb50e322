"""Operations on Super SIM resources, and the life cycles of SIMs, commands and eSIM Profiles.

May import what `operations` may, and nothing of `wireless`.
Start with `sims`, then `sim_lifecycle`.
"""
