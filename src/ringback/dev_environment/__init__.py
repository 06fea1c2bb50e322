"""The files of `ringback dev` in its data folder: its address and secrets, clock and CA.

May import `api` and all packages below it.
Start with `dev_file`.
"""
