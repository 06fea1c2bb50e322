"""The command `ringback` on a machine with names whose name server never answers.

    python -P benchmarks/hanging_names.py serve ...

Looking up a name under `hang.invalid` never ends; with a resolver that can't be reached, every name
on the machine would hang. Everything else is the real command, of the Ringback that belongs to this
Python.
"""

import socket
import time
from typing import Any, Final

_THEIRS: Final = ".hang.invalid"
_WITHOUT_END: Final = 3600.0
_look_up = socket.getaddrinfo


def _getaddrinfo(host: Any, *arguments: Any, **named: Any) -> Any:
    if isinstance(host, str) and host.endswith(_THEIRS):
        time.sleep(_WITHOUT_END)
    return _look_up(host, *arguments, **named)


def main() -> None:
    from ringback.__main__ import main as ringback

    socket.getaddrinfo = _getaddrinfo
    ringback()


if __name__ == "__main__":
    main()
