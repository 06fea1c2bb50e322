"""What `ringback dev` keeps in its folder: how to reach it, how far its clock is ahead, and its CA.

May import `api` and what is below it. Start with `dev_file`.
"""
