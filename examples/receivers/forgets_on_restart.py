"""Remembers tokens in memory only.

Wrong: after each deployment, what the sender repeats is new again.
Why: a set is one line, and the program runs for weeks; or it is a cache that all processes but one
don't share.
Instead: keep the tokens where the work's own results are, in a database or a file.
"""

from threading import Lock

from serving import Receiver, Request, Settings, main


class ForgetsOnRestart(Receiver):
    """Has a set."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.tokens = set[str]()
        self.lock = Lock()

    def take(self, request: Request) -> int:
        """Do the work of what is not in the set."""
        with self.lock:
            if request.key not in self.tokens:
                self.work(request)
                self.tokens.add(request.key)
        return 200


if __name__ == "__main__":
    main(ForgetsOnRestart)
