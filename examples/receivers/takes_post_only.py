"""Has no route for GET.

Wrong: with CallbackMethod=GET, callbacks come by GET, and are answered with a 405.
Why: webhooks are POSTs nearly everywhere.
Instead: allow both, or make sure that no SIM, fleet or command is ever configured with GET.
"""

from serving import Receiver, Request, main


class TakesPostOnly(Receiver):
    """Knows only POST."""

    def answer(self, request: Request) -> int | None:
        """Answer 405 to any other method than POST."""
        return super().answer(request) if request.method == "POST" else 405


if __name__ == "__main__":
    main(TakesPostOnly)
