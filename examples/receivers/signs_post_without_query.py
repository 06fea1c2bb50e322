"""Leaves the query out of Twilio's signature if a callback comes as POST.

Wrong: Twilio signs the URL with its query for every method. So if the URL has a query, all of
Twilio's callbacks are refused; and a query that a forger adds is accepted.
Why: the form is in the body, so the query of a POST seems unimportant.
Instead: sign the URL exactly as it was called, with its query.
"""

from serving import Receiver, Request, in_base64, main


class SignsPostWithoutQuery(Receiver):
    """Ignores the query of a POST."""

    def signature_of_twilio(self, request: Request) -> str:
        """Sign the URL and the sorted parameters; for a GET, also the query."""
        query = request.query if request.method == "GET" else ""
        form = "".join(name + value for name, value in sorted(set(request.form)))
        return in_base64(self.settings.auth_token, self.url + query + form)


if __name__ == "__main__":
    main(SignsPostWithoutQuery)
