"""Operations on Programmable Wireless resources, and the life cycles of SIMs and Commands.

May import what `operations` may, and nothing of `supersim`.
Start with `sims`, then `sim_lifecycle`.
"""
