"""What keeps a server going: due tasks, the order of start and stop, advancing the clock.

May import `delivery`, `operations` and what is below them.
Start with `supervisor`.
"""
