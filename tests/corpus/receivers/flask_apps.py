"""Flask applications: Twilio's validator in a decorator, as tutorials show it, and its variants."""

import hmac
from typing import Final

from flask import Flask, abort, redirect, request
from werkzeug.wrappers import Response

from tests.corpus.receivers.serving import (
    KORE,
    KORE_TOKEN,
    NO_DEDUPE,
    TWILIO,
    TWILIO_TOKEN,
    Backend,
    Registry,
    wsgi,
)

FLASK: Final[Registry] = {}
BOTH: Final = ["GET", "POST"]


def is_twilio(backend: Backend) -> bool:
    """Check a request as Twilio's tutorial for Flask does."""
    return backend.is_twilio(request.url, request.form, request.headers.get(TWILIO, ""))


@wsgi(
    FLASK,
    "refuses-kore refuses-get accepts-both-families accepts-forged-events acts-on-forgeries"
    f" {NO_DEDUPE}",
)
def tutorial_decorator(backend: Backend) -> Flask:
    """Check URL and form, so that nothing covers a JSON body: `request.form` is empty then."""
    app = Flask("tutorial_decorator")

    @app.post("/callbacks")
    def receive() -> str:
        if not is_twilio(backend):
            abort(403)
        backend.work()
        return "ok"

    return app


@wsgi(FLASK, f"refuses-kore refuses-get accepts-both-families {NO_DEDUPE}")
def reads_the_form_first(backend: Backend) -> Flask:
    """Answer 400 if a parameter is missing, which `request.form[...]` does."""
    app = Flask("reads_the_form_first")

    @app.post("/callbacks")
    def receive() -> str:
        account = request.form["AccountSid"]
        if not is_twilio(backend):
            abort(403)
        backend.work(account)
        return "ok"

    return app


@wsgi(
    FLASK, f"refuses-kore refuses-get refuses-repeated-parameters accepts-both-families {NO_DEDUPE}"
)
def forwarded_proto(backend: Backend) -> Flask:
    """Take the scheme from X-Forwarded-Proto, and the first value of each parameter."""
    app = Flask("forwarded_proto")

    @app.post("/callbacks")
    def receive() -> str:
        url = request.url
        if request.headers.get("X-Forwarded-Proto", "") == "https":
            url = url.replace("http://", "https://")
        form = request.form.to_dict() or abort(400)
        if not backend.is_twilio(url, form, request.headers.get(TWILIO, "")):
            abort(403)
        backend.work()
        return "ok"

    return app


@wsgi(
    FLASK,
    "ignores-kore-signature accepts-missing-signature accepts-unsigned accepts-both-families"
    " accepts-forged-events acts-on-forgeries refuses-payload refuses-non-ascii"
    f" refuses-white-space {NO_DEDUPE}",
)
def checks_if_there_is_a_signature(backend: Backend) -> Flask:
    """Check the signature only if there is one, so that local tests need none.

    `request.url` spells the query of a GET anew, for example %20 instead of +.
    """
    app = Flask("checks_if_there_is_a_signature")

    @app.route("/callbacks", methods=BOTH)
    def receive() -> str:
        if request.headers.get(TWILIO) and not is_twilio(backend):
            abort(403)
        backend.work()
        return "ok"

    return app


@wsgi(FLASK, f"answers-200-to-everything {NO_DEDUPE}")
def catches_every_error(backend: Backend) -> Flask:
    """Answer 200 whatever happens, so that the sender does not retry."""
    app = Flask("catches_every_error")

    @app.route("/callbacks", methods=BOTH)
    def receive() -> str:
        try:
            if request.is_json or not (is_kore(backend) or is_twilio(backend)):
                raise PermissionError
            backend.work()
        except PermissionError:
            app.logger.debug("ignored")
        return "ok"

    return app


def is_kore(backend: Backend) -> bool:
    """Check KORE's signature; right if nothing has read the form before."""
    right = backend.by_kore(request.method, request.get_data())
    return hmac.compare_digest(request.headers.get(KORE, "").encode(), right.encode())


@wsgi(FLASK)
def moved_to_kore_rightly(backend: Backend) -> Flask:
    """Check both sources, and insert the token and the work in one transaction."""
    app = Flask("moved_to_kore_rightly")

    @app.route("/callbacks", methods=BOTH)
    def receive() -> tuple[str, int]:
        headers = request.headers
        if (KORE in headers) == (TWILIO in headers):
            abort(403)
        if KORE in headers:
            is_genuine, token = is_kore(backend), f"kore {headers.get(KORE_TOKEN)}"
        else:
            query = f"?{request.query_string.decode()}".removesuffix("?")
            url = f"{request.base_url}{query}"
            is_genuine = not request.is_json and backend.is_twilio(
                url, request.form, headers[TWILIO]
            )
            token = f"twilio {headers.get(TWILIO_TOKEN)}"
        if not is_genuine:
            abort(403)
        if backend.insert(token):
            backend.work()
        return "", 204

    return app


@wsgi(FLASK, "refuses-kore refuses-get")
def reads_the_form_before_the_raw_body(backend: Backend) -> Flask:
    """Log the form first; `get_data` is empty then, so that KORE's signature is never right."""
    app = Flask("reads_the_form_before_the_raw_body")

    @app.post("/callbacks")
    def receive() -> tuple[str, int]:
        app.logger.debug("received %s", request.form)
        headers = request.headers
        is_genuine = is_kore(backend) if KORE in headers else is_twilio(backend)
        if not is_genuine or request.is_json:
            abort(403)
        if backend.insert(headers.get(TWILIO_TOKEN)):
            backend.work()
        return "", 204

    return app


@wsgi(FLASK, "refuses-twilio refuses-kore")
def content_type_without_charset(backend: Backend) -> Flask:
    """Compare the whole Content-Type, although senders may add a charset."""
    app = Flask("content_type_without_charset")

    @app.route("/callbacks", methods=BOTH)
    def receive() -> str:
        if request.headers.get("Content-Type") != "application/x-www-form-urlencoded":
            abort(415)
        backend.work()
        return "ok"

    return app


@wsgi(FLASK, f"refuses-post refuses-payload refuses-non-ascii refuses-white-space {NO_DEDUPE}")
def content_type_of_twilio(backend: Backend) -> Flask:
    """Compare the Content-Type of a POST with Twilio's, whose charset is in upper case."""
    app = Flask("content_type_of_twilio")

    @app.route("/callbacks", methods=BOTH)
    def receive() -> str:
        expected = "application/x-www-form-urlencoded; charset=UTF-8"
        if request.method == "POST" and request.headers.get("Content-Type") != expected:
            abort(415)
        if not (is_kore(backend) or is_twilio(backend)):
            abort(403)
        backend.work()
        return "ok"

    return app


@wsgi(FLASK, "redirects")
def behind_a_login(_: Backend) -> Flask:
    """Redirect everybody without a session to the login page, in a hook before each request."""
    app = Flask("behind_a_login")

    @app.before_request
    def require_login() -> Response | None:
        return None if request.path == "/login" else redirect("/login")

    return app


@wsgi(FLASK, "redirects")
def route_with_a_slash(_: Backend) -> Flask:
    """Have the route `/callbacks/`, while the sender is configured without the slash."""
    app = Flask("route_with_a_slash")

    @app.route("/callbacks/", methods=BOTH)
    def receive() -> str:
        return "ok"

    return app
