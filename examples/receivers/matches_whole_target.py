"""Looks for its route in the whole target, query and all.

Wrong: a URL with a query has another target than its path, and is answered 404.
Why: the server hands over one text, and in all tests it was the path alone.
Instead: take the path from it, up to the question mark.
"""

from serving import Receiver, Request, main


class MatchesWholeTarget(Receiver):
    """Has a route."""

    def answer(self, request: Request) -> int | None:
        """Look it up; the parameters of a GET may follow."""
        if request.method == "POST" and request.target != "/callbacks":
            return 404
        return super().answer(request)


if __name__ == "__main__":
    main(MatchesWholeTarget)
