"""The `ringback` command: reads what people type, prints what they read, and decides nothing.

May import everything below it.
Start with `main`; each command is one file, or one folder with a `command.py`.
"""
