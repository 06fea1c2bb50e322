"""Builds a server from settings: its storage, its workers and its API, each without the others.

May import everything but `cli` and `testing`; API and workers import nothing of each other.
Start with `single_process`; `WorkerServicesForApi` is all that the API needs to be given by
workers.
"""

from ringback.application.single_process import SingleProcessApplication

__all__ = ["SingleProcessApplication"]
