"""Leaves the query out of what Twilio signs.

Wrong: Twilio signs the URL with its query, in which a GET brings all that it tells. So each GET is
refused, and each POST to a URL with a query.
Why: the check was given the route's path; the test's URL had no query.
Instead: sign the URL as it was called, with its query as it came.
"""

from serving import Receiver, Request, in_base64, main


class SignsWithoutQuery(Receiver):
    """Knows its route."""

    def signature_of_twilio(self, request: Request) -> str:
        """Sign the URL and the sorted parameters."""
        signed = self.url + "".join(a + b for a, b in sorted(set(request.form)))
        return in_base64(self.settings.auth_token, signed)


if __name__ == "__main__":
    main(SignsWithoutQuery)
