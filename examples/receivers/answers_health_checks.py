"""Answers 200 to whatever has none of the senders' headers.

Wrong: who leaves them out is told that all is well. Nothing is done here, but nobody can rely on
that, and a probe can't see it.
Why: a load balancer asks the same URL whether the program is alive.
Instead: give health checks a path of their own.
"""

from serving import Receiver, Request, main


class AnswersHealthChecks(Receiver):
    """Is alive."""

    def answer(self, request: Request) -> int | None:
        """Tell callbacks from health checks by their headers."""
        marks = "I-Twilio-", "X-Twilio-", "Kore-"
        if not any(name.startswith(marks) for name in request.headers):
            return 200
        return super().answer(request)


if __name__ == "__main__":
    main(AnswersHealthChecks)
