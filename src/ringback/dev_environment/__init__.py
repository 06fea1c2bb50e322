"""What `ringback dev` keeps in its folder: how to reach it, its clock's advance, its CA.

May import `api` and what is below it.
Start with `dev_file`.
"""
