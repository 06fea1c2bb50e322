"""`make bench`; `make bench ARGS=--quick` for a short one."""

import platform
import sys

import uvloop

from benchmarks import delivery, first_attempt
from benchmarks.figures import a_receiver


def main() -> None:
    count = 2_000 if "--quick" in sys.argv else 20_000
    print(f"Python {platform.python_version()}, {platform.machine()}; read the ratios first\n")
    with a_receiver() as url:
        figures = uvloop.run(delivery.measure(url, count))
    figures += uvloop.run(first_attempt.measure(count // 20))
    for figure in figures:
        print(figure)


main()
