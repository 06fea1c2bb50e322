"""Reads the form as Latin-1.

Wrong: forms are in UTF-8; where a value has a letter with an accent, Twilio's signature differs,
and the callback is refused.
Why: it is the default of old frameworks, and SIMs had plain names in all tests.
Instead: decode forms as UTF-8, whatever the default.
"""

from urllib.parse import parse_qsl

from serving import Receiver, Request, in_base64, main


class ReadsAsciiOnly(Receiver):
    """Decodes by a default of its own."""

    def signature_of_twilio(self, request: Request) -> str:
        """Sign the URL and the sorted parameters."""
        form = parse_qsl(request.body.decode(), keep_blank_values=True, encoding="latin-1")
        signed = self.url + request.query + "".join(a + b for a, b in sorted(set(form)))
        return in_base64(self.settings.auth_token, signed)


if __name__ == "__main__":
    main(ReadsAsciiOnly)
