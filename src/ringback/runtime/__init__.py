"""What the process has of its machine, for the client and the server alike.

Errors in words, files of certificates, the limit on open files, turns that are shared out. It
imports `ports` and `core`, and nothing that is Ringback's own business.
"""
