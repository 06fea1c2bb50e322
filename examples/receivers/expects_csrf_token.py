"""Asks for the token against cross-site forgery that the site's own forms have.

Wrong: no sender of callbacks has one; each POST is refused.
Why: frameworks do that for all routes until they are told not to for one.
Instead: exempt this route, in Django by @csrf_exempt; its signature protects it.
"""

from serving import Receiver, Request, main


class ExpectsCsrfToken(Receiver):
    """Takes the sender for a browser."""

    def answer(self, request: Request) -> int | None:
        """Refuse what changes something and comes from no page of ours."""
        if request.method == "POST" and "X-CSRFToken" not in request.headers:
            return 403
        return super().answer(request)


if __name__ == "__main__":
    main(ExpectsCsrfToken)
