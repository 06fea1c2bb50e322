"""Expects each token to be a UUID.

Wrong: KORE's has 34 to 43 characters, and is no UUID; so all that KORE sends is refused.
Why: Twilio's always has 36, and so has the column that keeps it.
Instead: keep tokens as texts of up to 43 characters, for each source apart.
"""

from serving import TOKEN_FORMS, Receiver, Request, main


class ExpectsTwilioTokens(Receiver):
    """Knows one form."""

    def has_its_own_token(self, request: Request) -> bool:
        """Ask for a UUID."""
        return TOKEN_FORMS["twilio"].fullmatch(request.token) is not None


if __name__ == "__main__":
    main(ExpectsTwilioTokens)
