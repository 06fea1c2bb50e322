"""Operations on Super SIM resources, and the life cycles of SIMs, commands and eSIM Profiles.

May import whatever `operations` may, except `wireless`.
Start with `sims`, then `sim_lifecycle`.
"""
