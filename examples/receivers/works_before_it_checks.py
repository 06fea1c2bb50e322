"""Does the work first, and checks afterwards.

Wrong: a forgery is refused, but its work is done.
Why: the check was added last, at the end of the function, where the answer is made.
Instead: check first, before anything else uses the request.
"""

from serving import Receiver, Request, main


class WorksBeforeItChecks(Receiver):
    """Refuses forgeries after doing their work."""

    def answer(self, request: Request) -> int | None:
        """Do the work, then check the signature and answer."""
        status = self.take(request)
        return status if self.is_genuine(request) else 403


if __name__ == "__main__":
    main(WorksBeforeItChecks)
