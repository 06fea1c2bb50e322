"""Operations on event streams: sinks, subscriptions, and the events that they get.

May import what `operations` may, but neither `supersim` nor `wireless`.
Start with `publish`.
"""
