"""Keeps the tokens of both sources in one set.

Wrong: both sources may use the same token for different callbacks. The second callback is then
taken for a repeat of the first one, and is lost.
Why: tokens were unique while there was only one source.
Instead: make the source a part of the key.
"""

from serving import Receiver, Request, main


class MixesTokens(Receiver):
    """Stores tokens without their source."""

    def take(self, request: Request) -> int:
        """Do the work of a callback whose token it hasn't seen from any source."""
        if self.seen.claim(request.token) == "new":
            with self.seen.held(request.token):
                self.work(request)
        return 200


if __name__ == "__main__":
    main(MixesTokens)
