"""Makes a dictionary of the form before it signs.

Wrong: of a parameter that comes twice only the last value is left, and Twilio's signature covers
both; so such callbacks are refused.
Why: a dictionary is what frameworks hand over, and in all tests each name came once.
Instead: sign the pairs as they came, each different one once, sorted.
"""

from serving import Receiver, Request, in_base64, main


class SignsRepeatsWrongly(Receiver):
    """Knows one value for each name."""

    def signature_of_twilio(self, request: Request) -> str:
        """Sign the URL and the sorted parameters."""
        parameters = sorted(dict(request.form).items())
        signed = self.url + request.query + "".join(a + b for a, b in parameters)
        return in_base64(self.settings.auth_token, signed)


if __name__ == "__main__":
    main(SignsRepeatsWrongly)
