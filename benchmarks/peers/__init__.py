"""T6: alternatives to Ringback, delivering the same signed POST to the same receiver.

The peers are not dependencies of ours: `make bench ARGS=--peers` installs them into an environment
of their own beside this file, and needs a Redis server (see `environment`).
"""
