"""Leaves the query out of Twilio's signature.

Wrong: Twilio signs the URL with its query, which contains the parameters of a GET. So each GET is
refused, and each POST to a URL with a query.
Why: the check got only the path of the route; the test's URL had no query.
Instead: sign the URL exactly as it was called, with its query.
"""

from serving import Receiver, Request, in_base64, main


class SignsWithoutQuery(Receiver):
    """Signs the URL of its route."""

    def signature_of_twilio(self, request: Request) -> str:
        """Sign the URL without its query, and the sorted parameters."""
        signed = self.url + "".join(a + b for a, b in sorted(set(request.form)))
        return in_base64(self.settings.auth_token, signed)


if __name__ == "__main__":
    main(SignsWithoutQuery)
