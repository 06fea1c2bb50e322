"""Builds a server from its settings: the storage, the workers and the API.

May import everything but `cli` and `testing`; API and workers import nothing from each other.
Start with `server_process`; `WorkerServicesForApi` has all that the API needs from the workers.
"""

from ringback.application.server_process import ServerProcess

__all__ = ["ServerProcess"]
