"""Refuses all that comes from Twilio.

Wrong: until the last day of the transition a URL may ask for Twilio, and what it gets is refused.
Why: the new check took the place of the old one, before the last URL had moved.
Instead: check both families until the last callback of Twilio's has come.
"""

from serving import Receiver, Request, main


class KnowsKoreOnly(Receiver):
    """Has moved too early."""

    def is_of_twilio(self, request: Request, signature: str) -> bool:
        """Know nobody of that name."""
        return False


if __name__ == "__main__":
    main(KnowsKoreOnly)
