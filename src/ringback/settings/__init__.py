"""Reads the settings of a server from flags, environment and file into one frozen record.

A flag beats the environment, the environment beats the file, the file beats the default. The error
for an unusable value names the place that the value came from; for the file, also the line.

May import `http_client`, `runtime` and `core`.
Start with `setting_definitions`, which the flags, variables, keys and help texts are made from.
"""

import os
from collections.abc import Mapping
from typing import Final

ENVIRONMENT: Final[Mapping[str, str]] = os.environ
