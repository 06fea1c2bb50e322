"""Checks that a callback is new, does the work, and only then stores its token.

Wrong: a second delivery that comes before the end of the first one doesn't find the token, so the
work is done twice.
Why: it works if deliveries come one after the other, as they do in the tests.
Instead: store the token before the work, by one statement that fails if the token is there.
"""

import time
from contextlib import closing

from serving import Receiver, Request, main


class ChecksThenActs(Receiver):
    """Leaves a gap between looking for a token and storing it."""

    def take(self, request: Request) -> int:
        """Do the work of a callback whose token isn't stored, then store it."""
        with closing(self.seen.open()) as database:
            if not database.execute("SELECT 1 FROM seen WHERE key = ?", [request.key]).fetchone():
                time.sleep(0.4)  # slow work, such as a call of another service
                self.work(request)
                database.execute("INSERT OR IGNORE INTO seen VALUES (?, 1)", [request.key])
        return 200


if __name__ == "__main__":
    main(ChecksThenActs)
