"""Does the work first, and checks afterwards.

Wrong: the forger is refused, but what the request asked for is done.
Why: the check was added last, at the end of the function, where the answer is made.
Instead: check in the first line, before the request is read for anything else.
"""

from serving import Receiver, Request, main


class WorksBeforeItChecks(Receiver):
    """Refuses what it has done."""

    def answer(self, request: Request) -> int | None:
        """Do it, then say whether it was right to."""
        status = self.take(request)
        return status if self.is_genuine(request) else 403


if __name__ == "__main__":
    main(WorksBeforeItChecks)
