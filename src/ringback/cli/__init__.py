"""The `ringback` command: options in, words or JSON out; what is more than that is in a room below.

A command is one file, or a folder with `command`. May import everything. Start with `main`.
"""
