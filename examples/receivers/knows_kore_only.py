"""Refuses all callbacks from Twilio.

Wrong: until the last day of the transition, a URL may ask for Twilio, whose callbacks are refused.
Why: the new check replaced the old one before the last URL had moved.
Instead: check both families until the last callback from Twilio has come.
"""

from serving import Receiver, Request, main


class KnowsKoreOnly(Receiver):
    """Knows only KORE's signatures."""

    def is_of_twilio(self, request: Request, signature: str) -> bool:
        """Return False for every signature."""
        return False


if __name__ == "__main__":
    main(KnowsKoreOnly)
