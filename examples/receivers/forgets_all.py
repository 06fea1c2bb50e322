"""Does the work again for each delivery of a callback.

Wrong: a callback that comes twice, because its answer got lost or came late, has two effects.
Why: no callback ever came twice in the tests.
Instead: store the token of each processed callback, and answer its repeats with a 200.
"""

from serving import Receiver, Request, main


class ForgetsAll(Receiver):
    """Takes each delivery for a new callback."""

    def take(self, request: Request) -> int:
        """Do the work without looking at the token."""
        self.work(request)
        return 200


if __name__ == "__main__":
    main(ForgetsAll)
