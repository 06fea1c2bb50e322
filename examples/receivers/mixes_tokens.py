"""Keeps the tokens of both sources in one set.

Wrong: a token of one source says nothing of the other's. Where the same text comes from both, the
second callback is taken for a repeat of the first, and is lost.
Why: a token is unique, and there was one source.
Instead: make the source a part of the key.
"""

from serving import Receiver, Request, main


class MixesTokens(Receiver):
    """Has one column."""

    def take(self, request: Request) -> int:
        """Do the work of a token that it hasn't seen."""
        if self.seen.claim(request.token) == "new":
            with self.seen.held(request.token):
                self.work(request)
        return 200


if __name__ == "__main__":
    main(MixesTokens)
