"""Expects headers that only Twilio sends.

Wrong: KORE's User-Agent is another, X-Home-Region is gone, and the charset in Content-Type is
written otherwise; so all that KORE sends is refused.
Why: a filter in front of the application was made from what the first callbacks looked like.
Instead: go by the signature; no other header says who sent a request.
"""

from serving import Receiver, Request, main


class ExpectsTwilioHeaders(Receiver):
    """Knows its sender by its clothes."""

    def is_genuine(self, request: Request) -> bool:
        """Look at what it wears, first."""
        agent = request.headers.get("User-Agent", "")
        return agent.startswith("TwilioProxy/") and super().is_genuine(request)


if __name__ == "__main__":
    main(ExpectsTwilioHeaders)
