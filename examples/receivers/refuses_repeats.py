"""Answers a repeat with 409 Conflict.

Wrong: for the sender that is a failure. It sends again, gets a 409 again, and in the end lists
a callback as undelivered whose work was done at the first delivery.
Why: the database's unique index raises, and a conflict is what the API's own clients are told.
Instead: a repeat is no error; answer it as the first one was answered.
"""

from serving import Receiver, Request, main


class RefusesRepeats(Receiver):
    """Complains."""

    def take(self, request: Request) -> int:
        """Do the work, or say that there is a conflict."""
        if self.seen.claim(request.key) != "new":
            return 409
        with self.seen.held(request.key):
            self.work(request)
        return 200


if __name__ == "__main__":
    main(RefusesRepeats)
