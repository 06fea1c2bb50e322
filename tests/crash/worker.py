"""`ringback dev`, but for one named step at which it dies on the spot, as `kill -9` would have it.

Its last arguments are `--die-at STEP`.
"""

import asyncio
import os
import sys
from pathlib import Path

from ringback.api.server import bind
from ringback.cli.dev import run
from ringback.settings import load


def main() -> None:
    *flags, _, fatal = sys.argv[1:]

    def die(step: str) -> None:
        if step == fatal:
            os._exit(9)

    data = Path(flags[flags.index("--data") + 1])
    settings = load({"port": "0", "data": str(data), "update_takes": "10ms"}, {})
    with bind(settings.host, settings.port) as listener:
        asyncio.run(run(settings, listener, as_json=True, checkpoint=die))


if __name__ == "__main__":
    main()
