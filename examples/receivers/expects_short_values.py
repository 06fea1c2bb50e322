"""Refuses what is longer than usual.

Wrong: error messages and payloads may be long; a callback of some kilobytes is refused.
Why: a limit keeps floods out, and all callbacks in the tests were short.
Instead: keep the limit, of a megabyte or so, far above what a callback may have.
"""

from serving import Receiver, Request, main


class ExpectsShortValues(Receiver):
    """Has little patience."""

    def answer(self, request: Request) -> int | None:
        """Take up to a kilobyte."""
        is_long = len(request.body) > 1024 or len(request.target) > 1024
        return 413 if is_long else super().answer(request)


if __name__ == "__main__":
    main(ExpectsShortValues)
