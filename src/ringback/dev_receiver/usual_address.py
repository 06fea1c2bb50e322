"""The address at which `ringback listen` receives callbacks, unless it is given another one."""

from typing import Final

LISTEN_PORT: Final = 9000
LISTEN_URL: Final = f"http://127.0.0.1:{LISTEN_PORT}/"
