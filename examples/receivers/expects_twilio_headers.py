"""Expects headers that only Twilio sends.

Wrong: KORE has another User-Agent, no X-Home-Region, and another spelling of the charset in
Content-Type, so all of KORE's callbacks are refused.
Why: somebody made a filter in front of the application from the headers of the first callbacks.
Instead: check the signature; no other header proves the sender of a request.
"""

from serving import Receiver, Request, main


class ExpectsTwilioHeaders(Receiver):
    """Recognises the sender by its User-Agent."""

    def is_genuine(self, request: Request) -> bool:
        """Refuse requests without Twilio's User-Agent, then check the signature."""
        agent = request.headers.get("User-Agent", "")
        return agent.startswith("TwilioProxy/") and super().is_genuine(request)


if __name__ == "__main__":
    main(ExpectsTwilioHeaders)
