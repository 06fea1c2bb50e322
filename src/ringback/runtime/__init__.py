"""Services of the machine for a process: clocks, wake-ups, certificates, files, outages.

May import `ports` and `core`, and has nothing to do with callbacks.
Start with `wakeup`.
"""
