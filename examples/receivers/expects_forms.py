"""Refuses all bodies that aren't forms.

Wrong: KORE's portal sends a test event as JSON; it is refused, so the portal reports that the
receiver fails.
Why: all documented callbacks are forms.
Instead: check the signature of the body's bytes, whatever their type, and answer 200.
"""

from serving import Receiver, Request, main


class ExpectsForms(Receiver):
    """Accepts one content type only."""

    def answer(self, request: Request) -> int | None:
        """Refuse a body whose Content-Type isn't a form."""
        if request.body and "form" not in request.headers.get("Content-Type", ""):
            return 415
        return super().answer(request)


if __name__ == "__main__":
    main(ExpectsForms)
