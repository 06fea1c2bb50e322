"""Real shortages of descriptors: the limit on open files of this process, lowered for a while."""

import os
import resource
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def limited_to(files: int) -> Generator[None]:
    """Let the process open only files with numbers below this; those that are open stay open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextmanager
def without_descriptors() -> Generator[None]:
    """Let the process open no more files; unlike a limit of 0, this lets servers poll sockets."""
    free = os.open(os.devnull, os.O_RDONLY)
    os.close(free)
    with limited_to(free):
        yield
