"""Stores a callback as done before its work is done.

Wrong: if the work is cut off, the sender sends the callback again; the repeat is answered with a
200, and the work is never done.
Why: it prevents a second delivery from doing the work too; and people overlook that some
frameworks cancel a request whose sender has hung up.
Instead: store that the work is under way, and release the token if the work fails.
"""

import time

from serving import Receiver, Request, main


class MarksBeforeItWorks(Receiver):
    """Marks callbacks as done too early."""

    def take(self, request: Request) -> int:
        """Mark a new callback as done, then do its work."""
        if self.seen.claim(request.key) == "new":
            with self.seen.held(request.key):
                pass
            time.sleep(0.4)  # preparations, during which the request may be cancelled
            if request.is_given_up():
                raise ConnectionAbortedError("the sender has hung up")
            self.work(request)
        return 200


if __name__ == "__main__":
    main(MarksBeforeItWorks)
