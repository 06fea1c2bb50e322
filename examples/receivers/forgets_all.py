"""Does the work of each delivery.

Wrong: a callback that comes twice, since its answer got lost or came late, has two effects.
Why: nothing ever came twice in tests.
Instead: remember the token of each callback whose work is done, and answer its repeats with a 200.
"""

from serving import Receiver, Request, main


class ForgetsAll(Receiver):
    """Takes each for the first."""

    def take(self, request: Request) -> int:
        """Do the work."""
        self.work(request)
        return 200


if __name__ == "__main__":
    main(ForgetsAll)
