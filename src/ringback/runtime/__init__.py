"""What a process has of its machine: clocks, wake-ups, certificates, open files, outages.

May import `ports` and `core`; it knows nothing of callbacks.
Start with `wakeup`.
"""
