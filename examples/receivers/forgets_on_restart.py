"""Remembers tokens in memory only.

Wrong: after each deployment, the sender's repeats look like new callbacks.
Why: a set is one line of code, and the program runs for weeks; or the tokens are in a cache that
the processes don't share.
Instead: store the tokens with the results of the work, in a database or a file.
"""

from threading import Lock

from serving import Receiver, Request, Settings, main


class ForgetsOnRestart(Receiver):
    """Keeps tokens in a set."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.tokens = set[str]()
        self.lock = Lock()

    def take(self, request: Request) -> int:
        """Do the work of a callback whose token isn't in the set."""
        with self.lock:
            if request.key not in self.tokens:
                self.work(request)
                self.tokens.add(request.key)
        return 200


if __name__ == "__main__":
    main(ForgetsOnRestart)
