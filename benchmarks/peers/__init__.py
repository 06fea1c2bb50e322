"""T6: what one would otherwise pick, delivering the same signed POST to the same receiver.

The peers are no dependencies of ours: `make bench ARGS=--peers` puts them into an environment of
their own beside this file, and needs a Redis server (see `environment`).
"""
