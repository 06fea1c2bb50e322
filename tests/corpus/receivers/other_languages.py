"""Patterns of applications in other languages, written again in Python."""

from typing import Final
from urllib.parse import parse_qsl, quote, unquote_plus, urlencode

from tests.corpus.receivers.serving import (
    KORE,
    NO_DEDUPE,
    TWILIO,
    Backend,
    Call,
    FormLists,
    Plain,
    PlainAnswer,
    Registry,
    plain,
)

OTHERS: Final[Registry] = {}


def stored(backend: Backend, key: object) -> PlainAnswer:
    """Do the work of a callback unless its token is stored."""
    if backend.insert(str(key)):
        backend.work()
    return 200


@plain(OTHERS)
def express_with_raw_body(backend: Backend) -> Plain:
    """Express: keep the raw body beside the parsed one, and check both sources."""

    def receive(call: Call) -> PlainAnswer:
        key = backend.genuine_key(call)
        return 403 if key is None else stored(backend, key)

    return receive


@plain(OTHERS, "refuses-payload refuses-white-space refuses-non-ascii")
def express_body_parser_first(backend: Backend) -> Plain:
    """Express: encode the parsed form again for KORE, with %20 instead of +."""

    def receive(call: Call) -> PlainAnswer:
        if KORE in call.headers and call.form:
            body = urlencode(call.form, quote_via=quote).encode()
            call = Call(call.method, call.target, call.headers, body)
        key = backend.genuine_key(call)
        return 403 if key is None else stored(backend, key)

    return receive


@plain(OTHERS, "refuses-events accepts-forged-events acts-on-forgeries")
def json_of_the_own_tools(backend: Backend) -> Plain:
    """Many: take unsigned JSON from own tools, and check Twilio's JSON as if it were a form."""

    def receive(call: Call) -> PlainAnswer:
        if call.is_json and KORE not in call.headers:
            if TWILIO in call.headers:
                return 403  # the parsed object is not what Twilio has signed
            backend.work()
            return 200
        key = backend.genuine_key(call)
        return 403 if key is None else stored(backend, key)

    return receive


@plain(OTHERS, f"refuses-kore refuses-get accepts-both-families {NO_DEDUPE}")
def express_twilio_webhook(backend: Backend) -> Plain:
    """Express: the official middleware, which compares bodySHA256 with the parsed JSON's hash."""

    def receive(call: Call) -> PlainAnswer:
        if call.method != "POST":
            return 404
        form = "{}" if "bodySHA256=" in call.target else FormLists(call.form)
        if not backend.is_twilio(call.url, form, call.headers.get(TWILIO)):
            return 403
        backend.work()
        return 200

    return receive


@plain(OTHERS, "refuses-repeated-parameters accepts-forged-events acts-on-forgeries mixes-tokens")
def php_post_variables(backend: Backend) -> Plain:
    """PHP: Twilio's validator with $_POST, which has the last value; KORE with php://input."""

    def receive(call: Call) -> PlainAnswer:
        kore, twilio = call.headers.get(KORE), call.headers.get(TWILIO)
        if kore is not None and twilio is None and kore == backend.by_kore(call.method, call.body):
            return stored(backend, call.token)
        if kore is None and backend.is_twilio(call.url, dict(call.form), twilio):
            return stored(backend, call.token)
        return 403

    return receive


@plain(OTHERS, "refuses-white-space refuses-repeated-parameters refuses-get")
def laravel_with_trimmed_strings(backend: Backend) -> Plain:
    """Laravel: trim each input in a middleware, before the check of Twilio's signature."""

    def receive(call: Call) -> PlainAnswer:
        if call.method != "POST":
            return 405
        if KORE in call.headers:
            return 403 if (key := backend.genuine_key(call)) is None else stored(backend, key)
        inputs = {name: value.strip() for name, value in (*call.query, *call.form)}
        if not backend.is_twilio(call.url, inputs, call.headers.get(TWILIO)):
            return 403
        return stored(backend, call.token)

    return receive


@plain(
    OTHERS,
    f"refuses-kore refuses-get refuses-repeated-parameters accepts-both-families {NO_DEDUPE}",
)
def servlet_filter(backend: Backend) -> Plain:
    """Java: getParameterMap has the parameters of query and body; take the first value of each."""

    def receive(call: Call) -> PlainAnswer:
        first = dict(reversed([*call.query, *call.form]))
        if not backend.is_twilio(call.url, first, call.headers.get(TWILIO)):
            return 403
        backend.work()
        return 200

    return receive


@plain(OTHERS, f"refuses-post refuses-kore accepts-forged-events acts-on-forgeries {NO_DEDUPE}")
def play_without_parameters(backend: Backend) -> Plain:
    """Java: check the URL only, without the form of a POST."""

    def receive(call: Call) -> PlainAnswer:
        if not backend.is_twilio(call.url, {}, call.headers.get(TWILIO)):
            return 403
        backend.work()
        return 200

    return receive


@plain(OTHERS, f"answers-200-to-everything acts-on-forgeries {NO_DEDUPE}")
def rack_middleware_for_another_path(backend: Backend) -> Plain:
    """Ruby: protect paths by a pattern that doesn't match the callback URL's."""

    def receive(call: Call) -> PlainAnswer:
        if "/webhooks/" in call.target and not backend.genuine_key(call):
            return 403
        backend.work()
        return 200

    return receive


@plain(OTHERS, f"answers-200-to-everything refuses-get acts-on-forgeries {NO_DEDUPE}")
def rails_queues_everything(backend: Backend) -> Plain:
    """Rails: put all parameters into a queue, without a check, and answer 204."""

    def receive(call: Call) -> PlainAnswer:
        if call.method != "POST":
            return 404
        backend.after_the_answer(backend.work)
        return 204

    return receive


@plain(OTHERS, "refuses-empty-values")
def rails_compacts_parameters(backend: Backend) -> Plain:
    """Rails: leave blank parameters out before the check of Twilio's signature."""

    def receive(call: Call) -> PlainAnswer:
        if KORE in call.headers or call.method == "GET" or call.is_json:
            return 403 if (key := backend.genuine_key(call)) is None else stored(backend, key)
        form = FormLists([pair for pair in call.form if pair[1]])
        if not backend.is_twilio(call.url, form, call.headers.get(TWILIO)):
            return 403
        return stored(backend, f"True {call.token}")

    return receive


@plain(OTHERS, "refuses-payload refuses-non-ascii refuses-white-space refuses-repeated-parameters")
def lambda_rebuilds_the_query(backend: Backend) -> Plain:
    """AWS Lambda: build the query from decoded parameters, of which the last value is kept."""

    def receive(call: Call) -> PlainAnswer:
        if call.method == "GET" and KORE not in call.headers:
            query = "&".join(f"{name}={value}" for name, value in dict(call.query).items())
            call = Call("GET", f"/callbacks?{query}", call.headers, b"")
        key = backend.genuine_key(call)
        return 403 if key is None else stored(backend, key)

    return receive


@plain(OTHERS, "refuses-get refuses-repeated-parameters accepts-uppercase-hash")
def azure_function_with_form_collection(backend: Backend) -> Plain:
    """.NET: join repeated values by a comma; compare the hash of KORE in any letter case."""

    def receive(call: Call) -> PlainAnswer:
        kore, twilio = call.headers.get(KORE), call.headers.get(TWILIO)
        if call.method != "POST" or (kore is None) == (twilio is None):
            return 404
        if kore is not None:
            is_genuine = kore.lower() == backend.by_kore("POST", call.body)
        else:
            form = {name: ",".join(values) for name, values in FormLists(call.form).items()}
            if not form:
                raise TypeError("the form of a request that is none can't be read")
            is_genuine = backend.is_twilio(call.url, form, twilio)
        return stored(backend, (kore is None, call.token)) if is_genuine else 401

    return receive


@plain(
    OTHERS,
    "refuses-query accepts-changed-query refuses-get refuses-repeated-parameters mixes-tokens",
)
def go_with_configured_url(backend: Backend) -> Plain:
    """Go: check Twilio with the configured URL and the first values, KORE with the raw body."""

    def receive(call: Call) -> PlainAnswer:
        kore, twilio = call.headers.get(KORE), call.headers.get(TWILIO)
        if (kore is None) == (twilio is None):
            return 401
        if kore is not None:
            is_genuine = kore == backend.by_kore(call.method, call.body)
        else:
            is_genuine = backend.is_twilio(backend.url, dict(reversed(call.form)), twilio)
        return stored(backend, call.token) if is_genuine else 401

    return receive


@plain(OTHERS, "refuses-kore")
def generic_hmac_for_kore(backend: Backend) -> Plain:
    """Many: take Kore-Signature for the HMAC-SHA256 of the body, as most other senders sign."""

    def receive(call: Call) -> PlainAnswer:
        key = backend.genuine_key(call)
        if key is None or KORE in call.headers:
            return 401
        return stored(backend, key)

    return receive


@plain(OTHERS, "refuses-get")
def kore_with_the_whole_url(backend: Backend) -> Plain:
    """Many: compute KORE's signature from the URL with its query."""

    def receive(call: Call) -> PlainAnswer:
        if KORE in call.headers and call.query:
            return 401
        key = backend.genuine_key(call)
        return 401 if key is None else stored(backend, key)

    return receive


@plain(OTHERS, "refuses-long-values")
def proxy_with_a_small_limit(backend: Backend) -> Plain:
    """Nginx and body-parser: refuse requests over a limit that is lower than usual."""

    def receive(call: Call) -> PlainAnswer:
        if len(call.body) + len(call.target) > 1500:
            return 413
        key = backend.genuine_key(call)
        return 403 if key is None else stored(backend, key)

    return receive


@plain(OTHERS, "refuses-non-ascii")
def reads_latin_1(backend: Backend) -> Plain:
    """Servlet containers: decode the form as Latin-1, if nobody sets another encoding."""

    def receive(call: Call) -> PlainAnswer:
        if TWILIO in call.headers and call.form and KORE not in call.headers:
            text = call.body.decode()
            form = [(k.encode(), v.encode()) for k, v in parse_qsl(text, keep_blank_values=True)]
            read = [(k.decode("latin-1"), v.decode("latin-1")) for k, v in form]
            if not backend.is_twilio(call.url, FormLists(read), call.headers.get(TWILIO)):
                return 403
            return stored(backend, f"True {call.token}")
        key = backend.genuine_key(call)
        return 403 if key is None else stored(backend, key)

    return receive


@plain(OTHERS, "refuses-repeated-parameters refuses-white-space refuses-payload refuses-non-ascii")
def splits_by_hand(backend: Backend) -> Plain:
    """Embedded C: split the form at & and =, and decode only %XX, not +."""

    def receive(call: Call) -> PlainAnswer:
        if call.method == "GET" or KORE in call.headers or call.is_json:
            return 403 if (key := backend.genuine_key(call)) is None else stored(backend, key)
        pairs = (pair.partition("=") for pair in call.body.decode().split("&"))
        form = {
            unquote_plus(name): unquote_plus(value.replace("+", "%2B")) for name, _, value in pairs
        }
        if not backend.is_twilio(call.url, form, call.headers.get(TWILIO)):
            return 403
        return stored(backend, f"True {call.token}")

    return receive
