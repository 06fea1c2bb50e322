"""Settings: flags, environment and a file, read once into one frozen record.

A flag beats the environment, the environment beats the file, the file beats the default. What can't
be used is refused with the name of the place that it came from; in the file, by its line too.

May import `http_client`, `runtime` and `core`.
Start with `setting_definitions`, from which flags, variables, keys and help are made.
"""

import os
from collections.abc import Mapping
from typing import Final

ENVIRONMENT: Final[Mapping[str, str]] = os.environ
