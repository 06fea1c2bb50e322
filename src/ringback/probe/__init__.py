"""Check that a receiver is ready: play both senders, and report what the receiver gets wrong.

May import `http_client`, `ports`, `runtime`, `receiver` and `core`.
Start with `probe_cases`, the table of all cases; `probe_runner` runs them, and `evaluation` judges.
"""
