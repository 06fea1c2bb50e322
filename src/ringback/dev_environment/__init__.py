"""The files that `ringback dev` keeps in its data folder: address, secrets, clock and CA.

May import `api` and all packages below it.
Start with `dev_file`.
"""
