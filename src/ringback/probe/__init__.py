"""Is a receiver ready? Plays both senders, and reports what the receiver gets wrong.

May import `http_client`, `ports`, `runtime`, `receiver` and `core`.
Start with `probe_cases`, the table of all that is tried; `probe_runner` tries it.
"""
