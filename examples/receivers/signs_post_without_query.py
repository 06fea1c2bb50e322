"""Leaves the query out of what Twilio signs, where a callback comes as POST.

Wrong: Twilio signs the URL with its query, whatever the method. So where the URL has one, all that
Twilio sends is refused; and what anybody adds to it is believed.
Why: a form is in the body, so it seems that nothing is told in the query.
Instead: sign the URL as it was called, with its query as it came.
"""

from serving import Receiver, Request, in_base64, main


class SignsPostWithoutQuery(Receiver):
    """Does not look at the query of a POST."""

    def signature_of_twilio(self, request: Request) -> str:
        """Sign the URL and the sorted parameters."""
        query = request.query if request.method == "GET" else ""
        form = "".join(name + value for name, value in sorted(set(request.form)))
        return in_base64(self.settings.auth_token, self.url + query + form)


if __name__ == "__main__":
    main(SignsPostWithoutQuery)
