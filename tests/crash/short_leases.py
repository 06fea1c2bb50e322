"""`ringback`, with leases that end after 6 s instead of 15 s, and short waits after their end."""

import sys
from datetime import timedelta
from functools import partial

from ringback import postgres_database
from ringback.cli.main import main

if __name__ == "__main__":
    # A request takes less than a second here, instead of up to 15 s.
    postgres_database.PostgresOptions = partial(  # pyright: ignore[reportAttributeAccessIssue] (called only)
        postgres_database.PostgresOptions, lease=timedelta(seconds=6), open_for=timedelta(seconds=2)
    )
    sys.exit(main())
