"""Tools for a server process: clocks, wake-ups, certificates, files and database outages.

May import `ports` and `core`, and has nothing to do with callbacks.
Start with `wakeup`.
"""
