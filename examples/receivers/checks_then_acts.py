"""Looks whether a callback is new, works, and writes down that it is done.

Wrong: a second delivery that comes before the first has ended finds nothing written yet, and is
worked on as well.
Why: in a row, one after the other, it is right, and so are the tests.
Instead: write the token down before the work, by one statement that fails if it is there.
"""

import time
from contextlib import closing

from serving import Receiver, Request, main


class ChecksThenActs(Receiver):
    """Leaves a gap between looking and writing."""

    def take(self, request: Request) -> int:
        """Do the work of what is not written down."""
        with closing(self.seen.open()) as database:
            if not database.execute("SELECT 1 FROM seen WHERE key = ?", [request.key]).fetchone():
                time.sleep(0.4)  # what the work is: another database, another service
                self.work(request)
                database.execute("INSERT OR IGNORE INTO seen VALUES (?, 1)", [request.key])
        return 200


if __name__ == "__main__":
    main(ChecksThenActs)
