"""The policy while a server runs: the active one, its reloading, and warnings of what is ahead.

Imports `core`, `ports` and the wakeup of `engine`; knows no settings. Start with `active_policy`.
"""
