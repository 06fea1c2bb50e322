"""Answers with a redirect to a path with a slash at its end.

Wrong: no sender follows redirects, which would take a signed request elsewhere; so it counts as
failed.
Why: frameworks do that by themselves where the route has a slash and the request has none.
Instead: configure the URL at the sender exactly as the route has it, scheme and slash and all.
"""

from serving import Receiver, Request, main


class Redirects(Receiver):
    """Points elsewhere."""

    def answer(self, request: Request) -> int | None:
        """Ask for a slash."""
        path = request.target.partition("?")[0]
        return super().answer(request) if path.endswith("/") else 301


if __name__ == "__main__":
    main(Redirects)
