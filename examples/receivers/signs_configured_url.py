"""Checks Twilio's signature against the configured URL, whatever query came.

Wrong: what is added to the query is not checked, and an application that reads its parameters from
there believes whoever added it.
Why: with a proxy in front, the configured URL is the one that surely is right.
Instead: take scheme, host and path from the settings, and the query from the request.
"""

from serving import Receiver, Request, in_base64, main


class SignsConfiguredUrl(Receiver):
    """Does not look at the query of a POST."""

    def signature_of_twilio(self, request: Request) -> str:
        """Sign the URL and the sorted parameters."""
        query = request.query if request.method == "GET" else ""
        form = "".join(name + value for name, value in sorted(set(request.form)))
        return in_base64(self.settings.auth_token, self.url + query + form)


if __name__ == "__main__":
    main(SignsConfiguredUrl)
