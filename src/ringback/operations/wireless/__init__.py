"""Operations on Programmable Wireless resources, and the life cycles of SIMs and Commands.

May import whatever `operations` may, except `supersim`.
Start with `sims`, then `sim_lifecycle`.
"""
