"""Refuses requests that are longer than usual.

Wrong: error messages and payloads may be long; callbacks of some kilobytes are refused.
Why: a limit keeps floods out, and all callbacks in the tests were short.
Instead: set the limit far above the size of any callback, for example to a megabyte.
"""

from serving import Receiver, Request, main


class ExpectsShortValues(Receiver):
    """Limits requests to 1 KiB."""

    def answer(self, request: Request) -> int | None:
        """Refuse a body or a target of more than a kilobyte."""
        is_long = len(request.body) > 1024 or len(request.target) > 1024
        return 413 if is_long else super().answer(request)


if __name__ == "__main__":
    main(ExpectsShortValues)
