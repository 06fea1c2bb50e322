"""Writes a callback down as done before its work is.

Wrong: where the work fails, the sender is told so and sends again; the repeat is answered 200, and
the work is never done.
Why: it closes the gap in which a second delivery could slip in.
Instead: write down that it is under way, and let go of it where the work fails.
"""

from serving import Receiver, Request, main


class MarksBeforeItWorks(Receiver):
    """Is done before it begins."""

    def take(self, request: Request) -> int:
        """Do the work of what is not written down."""
        if self.seen.claim(request.key) == "new":
            self.work(request)
        return 200


if __name__ == "__main__":
    main(MarksBeforeItWorks)
