"""Where the time goes: `python -m benchmarks.profiling MODULE ARGUMENT...` runs a module profiled.

All threads count, each by its own profiler; the report goes to standard error when it ends. The
time is the clock's, so that waiting counts as well: the loop's in `run`, a thread's in its `get`.
"""

import contextlib
import cProfile
import pstats
import runpy
import sys
import threading
from collections.abc import Generator
from typing import Any, Final, TextIO

MODULE: Final = "benchmarks.profiling"
_LINES: Final = 25


@contextlib.contextmanager
def profiled(report: TextIO) -> Generator[None]:
    """Profile this thread and those that start meanwhile; write what took the most time.

    The threads have to end by then. Before Python 3.12 a profiler sees its own thread only; since
    then one sees them all.
    """
    mine, others = cProfile.Profile(), list[cProfile.Profile]()

    def begin(*_: Any) -> None:
        profile = cProfile.Profile()
        others.append(profile)
        profile.enable()  # in the place of this function, in the thread that called it

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
    _, module, *arguments = sys.argv
    sys.argv = [module, *arguments]
    with profiled(sys.stderr), contextlib.suppress(SystemExit):
        runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
