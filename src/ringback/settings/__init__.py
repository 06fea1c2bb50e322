"""Reads the settings of a server from flags, environment and file into one immutable record.

A flag beats the environment, the environment beats the file, the file beats the default. The error
for an invalid value says where the value came from, with the line if that is the file.

May import `http_client`, `runtime` and `core`.
Start with `setting_definitions`, from which flags, variables, keys and help texts are made.
"""

import os
from collections.abc import MutableMapping
from typing import Final

ENVIRONMENT: Final[MutableMapping[str, str]] = os.environ
