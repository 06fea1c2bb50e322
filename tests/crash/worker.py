"""`ringback dev`, which kills itself at one named step.

`--die-at STEP` is the step, `--die-at STEP:3` the third time that it gets there. All other flags
are settings. Steps are the engine's checkpoints, and those of `tests.crash.driver`.
"""

import asyncio
import os
import signal
import sys
from argparse import ArgumentParser
from functools import partial
from itertools import count

from ringback.api.serve_on_socket import bind
from ringback.application import ServerProcess
from ringback.cli.dev.server import run
from ringback.settings.load import load
from tests.crash.driver import passing


def main() -> None:
    parser = ArgumentParser(allow_abbrev=False)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--die-at", default="")
    known, flags = parser.parse_known_args()
    fatal, _, time = known.die_at.partition(":")
    times = count(1)

    def die(step: str) -> None:
        if step == fatal and next(times) == int(time or 1):
            os.kill(os.getpid(), signal.SIGKILL)

    pairs = zip(flags[::2], flags[1::2], strict=True)
    settings = load({flag[2:].replace("-", "_"): value for flag, value in pairs}, {})
    with bind(settings.host, settings.port) as listener, passing(die):
        start = partial(ServerProcess.start, checkpoint=die)
        asyncio.run(run(settings, listener, as_json=known.json, start=start))


if __name__ == "__main__":
    sys.exit(main())
