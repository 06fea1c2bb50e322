"""Expects each token to be a UUID.

Wrong: KORE's tokens have 34 to 43 characters and aren't UUIDs, so all of KORE's callbacks are
refused.
Why: Twilio's tokens always have 36 characters, and the column that stores them has that length.
Instead: store tokens as texts of up to 43 characters, separately for each source.
"""

from serving import TOKEN_FORMS, Receiver, Request, main


class ExpectsTwilioTokens(Receiver):
    """Knows only the format of Twilio's tokens."""

    def has_its_own_token(self, request: Request) -> bool:
        """Return True if the token is a UUID."""
        return TOKEN_FORMS["twilio"].fullmatch(request.token) is not None


if __name__ == "__main__":
    main(ExpectsTwilioTokens)
