"""What a process has of its machine: clocks, wake-ups, certificates, files, outages.

May import `ports` and `core`; it knows nothing of callbacks.
Start with `wakeup`.
"""
