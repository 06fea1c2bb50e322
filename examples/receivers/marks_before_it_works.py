"""Writes a callback down as done before its work is.

Wrong: where the work is cut off, the sender sends again; the repeat is answered 200, and the work
is never done.
Why: it closes the gap in which a second delivery could slip in; and it is easily overlooked that
some frameworks cancel a request whose sender has hung up.
Instead: write down that it is under way, and let go of it where the work fails.
"""

import time

from serving import Receiver, Request, main


class MarksBeforeItWorks(Receiver):
    """Is done before it begins."""

    def take(self, request: Request) -> int:
        """Do the work of what is not written down."""
        if self.seen.claim(request.key) == "new":
            with self.seen.held(request.key):
                pass
            time.sleep(0.4)  # what comes before the work, and can be cut off
            if request.is_given_up():
                raise ConnectionAbortedError("the sender has hung up")
            self.work(request)
        return 200


if __name__ == "__main__":
    main(MarksBeforeItWorks)
