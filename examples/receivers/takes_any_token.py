"""Does not look at the form of the token.

Wrong: KORE's callbacks with Twilio's token, or none, pass; and each of them is new, or a repeat,
by what is no token of its sender.
Why: the header is there, and a text is a text.
Instead: take Twilio's token from Twilio's header and KORE's from KORE's, each in its own form.
"""

from serving import Receiver, Request, main


class TakesAnyToken(Receiver):
    """Takes what is in the header."""

    def has_its_own_token(self, request: Request) -> bool:
        """Ask nothing."""
        return True


if __name__ == "__main__":
    main(TakesAnyToken)
