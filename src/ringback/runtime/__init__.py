"""Gives a process clocks, wake-ups, certificates, files, and waits for the database.

May import `ports` and `core`, and has nothing to do with callbacks.
Start with `wakeup`.
"""
