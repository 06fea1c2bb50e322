"""Answers a repeat with 409 Conflict.

Wrong: for the sender, a 409 is a failure. It sends again, gets a 409 again, and in the end reports
a callback as undelivered whose work was done at the first delivery.
Why: the database's unique index raises an error, which the API turns into a 409 for its clients.
Instead: a repeat isn't an error; give it the same answer as the first delivery.
"""

from serving import Receiver, Request, main


class RefusesRepeats(Receiver):
    """Treats a repeat as an error."""

    def take(self, request: Request) -> int:
        """Do the work of a new callback; answer 409 to a repeat."""
        if self.seen.claim(request.key) != "new":
            return 409
        with self.seen.held(request.key):
            self.work(request)
        return 200


if __name__ == "__main__":
    main(RefusesRepeats)
