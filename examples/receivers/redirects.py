"""Answers with a redirect to the same path with a trailing slash.

Wrong: senders don't follow redirects, because those could send a signed request elsewhere; so the
delivery fails.
Why: frameworks redirect by default if the route has a trailing slash and the request has none.
Instead: configure exactly the route's URL at the sender, including scheme and trailing slash.
"""

from serving import Receiver, Request, main


class Redirects(Receiver):
    """Redirects requests without a trailing slash."""

    def answer(self, request: Request) -> int | None:
        """Answer 301 to a path without a trailing slash."""
        path = request.target.partition("?")[0]
        return super().answer(request) if path.endswith("/") else 301


if __name__ == "__main__":
    main(Redirects)
