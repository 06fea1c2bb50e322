"""Where the time goes: `python -P benchmarks/profiling.py FILE ARGUMENT...` profiles a program.

Each thread has a profiler of its own; the report goes to standard error at the end. Times are
wall-clock times, so that waiting counts too: the loop's in `run`, a thread's in its `get`.
"""

import contextlib
import cProfile
import pstats
import runpy
import sys
import threading
from collections.abc import Generator
from typing import Any, Final, TextIO

_LINES: Final = 25


@contextlib.contextmanager
def profiled(report: TextIO) -> Generator[None]:
    """Profile this thread and those started meanwhile; write which functions took the most time.

    The threads have to end before this does. Before Python 3.12 a profiler sees only its own
    thread; since then one profiler sees them all.
    """
    mine, others = cProfile.Profile(), list[cProfile.Profile]()

    def begin(*_: Any) -> None:
        profile = cProfile.Profile()
        others.append(profile)
        profile.enable()  # replaces this function as profiler, in the thread that called it

    if sys.version_info < (3, 12):
        threading.setprofile(begin)
    mine.enable()
    try:
        yield
    finally:
        mine.disable()
        threading.setprofile(None)
        stats = pstats.Stats(mine, *others, stream=report)
        stats.strip_dirs().sort_stats("tottime").print_stats(_LINES)


def main() -> None:
    _, program, *arguments = sys.argv
    sys.argv = [program, *arguments]
    with profiled(sys.stderr), contextlib.suppress(SystemExit):
        runpy.run_path(program, run_name="__main__")


if __name__ == "__main__":
    main()
