"""Turns the form into a dictionary before it computes the signature.

Wrong: a dictionary keeps only the last value of a repeated parameter, but Twilio signs all values;
so such callbacks are refused.
Why: frameworks provide forms as dictionaries, and in all tests each name came once.
Instead: sign all distinct pairs as received, sorted.
"""

from serving import Receiver, Request, in_base64, main


class SignsRepeatsWrongly(Receiver):
    """Keeps one value for each parameter."""

    def signature_of_twilio(self, request: Request) -> str:
        """Sign the URL and the sorted parameters, with one value for each name."""
        parameters = sorted(dict(request.form).items())
        signed = self.url + request.query + "".join(a + b for a, b in parameters)
        return in_base64(self.settings.auth_token, signed)


if __name__ == "__main__":
    main(SignsRepeatsWrongly)
