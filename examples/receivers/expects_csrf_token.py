"""Requires a CSRF token, which only the site's own forms contain.

Wrong: senders of callbacks have no CSRF token, so each POST is refused.
Why: frameworks protect all routes by default, unless a route is exempted.
Instead: exempt this route, in Django by @csrf_exempt; its signature protects it.
"""

from serving import Receiver, Request, main


class ExpectsCsrfToken(Receiver):
    """Treats the sender like a browser."""

    def answer(self, request: Request) -> int | None:
        """Refuse a POST without a CSRF token."""
        if request.method == "POST" and "X-CSRFToken" not in request.headers:
            return 403
        return super().answer(request)


if __name__ == "__main__":
    main(ExpectsCsrfToken)
