"""Answers 200 to every request without the senders' headers.

Wrong: a forger who leaves the headers out gets a 200. Nothing is done for such a request here, but
nobody can rely on that, and a probe can't see it.
Why: a load balancer sends requests to the same URL to check that the program is alive.
Instead: give health checks their own path.
"""

from serving import Receiver, Request, main


class AnswersHealthChecks(Receiver):
    """Takes requests without the senders' headers for health checks."""

    def answer(self, request: Request) -> int | None:
        """Answer 200 to health checks, which it recognises by their headers."""
        marks = "I-Twilio-", "X-Twilio-", "Kore-"
        if not any(name.startswith(marks) for name in request.headers):
            return 200
        return super().answer(request)


if __name__ == "__main__":
    main(AnswersHealthChecks)
