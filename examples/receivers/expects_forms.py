"""Refuses all but forms.

Wrong: the test event that KORE's portal sends is JSON; so the portal says that the receiver fails.
Why: all documented callbacks are forms.
Instead: check the signature over the bytes of the body whatever their type, and answer 200.
"""

from serving import Receiver, Request, main


class ExpectsForms(Receiver):
    """Insists on a type."""

    def answer(self, request: Request) -> int | None:
        """Take forms."""
        if request.body and "form" not in request.headers.get("Content-Type", ""):
            return 415
        return super().answer(request)


if __name__ == "__main__":
    main(ExpectsForms)
