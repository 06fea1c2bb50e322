"""The faults that a receiver can have, each with a stable name and how to fix it."""

from enum import Enum


class ReceiverFaultKind(Enum):
    """What is wrong with a receiver: what it does, and how to fix that."""

    # Reports list faults in this order, so those that explain many others come first.
    ANSWERS_200_TO_EVERYTHING = (
        "It answers before it checks: whatever comes, signed or not, is answered with a 2xx.",
        "Check the signature first; answer 403 and stop where it is wrong.",
    )
    IGNORES_TWILIO_SIGNATURE = (
        "It accepts whatever comes in Twilio's headers, without checking X-Twilio-Signature.",
        "Check X-Twilio-Signature with the Auth Token before anything is done or answered.",
    )
    IGNORES_KORE_SIGNATURE = (
        "It accepts whatever comes in KORE's headers, without checking Kore-Signature.",
        "Check Kore-Signature with the webhook secret before anything is done or answered.",
    )
    REFUSES_TWILIO = (
        "It refuses every genuine callback from Twilio's infrastructure.",
        "See that it has this Auth Token, and checks against the URL as it is configured at the"
        " sender: scheme, host, port, path and query, whatever proxies make of it.",
    )
    REFUSES_KORE = (
        "It refuses every genuine callback from KORE's infrastructure.",
        "Check Kore-Signature: the SHA-256, in hex, of secret + method + URL without query + body;"
        " and don't ask for X-Twilio-Signature, which KORE doesn't send.",
    )
    DOES_NOT_ANSWER = (
        "It gives no answer within the time-out.",
        "Answer as soon as the callback is checked and kept; do long work afterwards.",
    )
    TOO_SLOW = (
        "It takes too long to answer; the sender may have given up by then, and sends again.",
        "Answer as soon as the callback is checked and kept; do long work afterwards.",
    )

    # Genuine callbacks that it should have accepted.
    REFUSES_POST = (
        "It refuses genuine callbacks that come as POST, though not those that come as GET.",
        "Take POST at this URL; for Twilio's signature, append each parameter of the form, sorted.",
    )
    REFUSES_GET = (
        "It refuses genuine callbacks that come as GET, though not those that come as POST.",
        "Take GET at this URL. The parameters are in the query, which Twilio signs and KORE"
        " doesn't; there is no body.",
    )
    REFUSES_PAYLOAD = (
        "It refuses genuine callbacks of some kind, because of what they tell.",
        "Answer a genuine callback with a 2xx even where it tells nothing that you use.",
    )
    REFUSES_TEST_EVENT = (
        "It refuses the test event of KORE's portal, which is JSON.",
        "Check Kore-Signature over the body's bytes as they came, whatever their type.",
    )
    REFUSES_QUERY = (
        "It leaves the query out of the URL that X-Twilio-Signature is computed from.",
        "Twilio signs the URL with its query, as it came; KORE signs it without.",
    )
    REFUSES_NON_ASCII = (
        "It refuses genuine callbacks with values that are not ASCII.",
        "Decode the form as UTF-8 for Twilio's signature; take the raw body for KORE's.",
    )
    REFUSES_WHITE_SPACE = (
        "It refuses genuine callbacks with blanks in a value.",
        "Don't trim values before the signature is checked.",
    )
    REFUSES_EMPTY_VALUES = (
        "It refuses genuine callbacks with a parameter that has no value.",
        "Keep empty values when the form is read; in Python, parse_qsl(keep_blank_values=True).",
    )
    REFUSES_REPEATED_PARAMETERS = (
        "It refuses genuine callbacks in which a parameter comes twice.",
        "Keep all values of a parameter; Twilio signs each, sorted.",
    )
    REFUSES_LONG_VALUES = (
        "It refuses genuine callbacks with a long value.",
        "Let bodies of 64 KiB and request lines of 8 KiB through, also in proxies.",
    )
    CRASHES_ON_GOOD_CALLBACK = (
        "It answers a genuine callback with a 5xx.",
        "See its log; a genuine callback is answered with a 2xx.",
    )
    REDIRECTS = (
        "It answers with a redirect, which no sender follows.",
        "Answer at the URL itself: see to its final slash, its scheme, and sign-in pages.",
    )
    BREAKS_OFF = (
        "It takes no connection, closes it without a whole answer, or what it answers is no HTTP.",
        "See its log, and that of the proxies in front of it.",
    )

    # Forgeries that it should have refused.
    ACCEPTS_WRONG_SECRET = (
        "It accepts what is signed with another secret.",
        "Compute the signature with your own secret, and compare the two in constant time.",
    )
    ACCEPTS_CHANGED_BODY = (
        "It accepts a request whose parameters were changed after it was signed.",
        "Compute the signature over all of the body that came, or for a GET over all of the query.",
    )
    ACCEPTS_CHANGED_PATH = (
        "It accepts a request that was signed for another path.",
        "Compute the signature over the URL that is configured at the sender, with its path.",
    )
    ACCEPTS_CHANGED_QUERY = (
        "It accepts a request of Twilio's that was signed for another query.",
        "Compute X-Twilio-Signature over the whole URL, query and all.",
    )
    ACCEPTS_MISSING_SIGNATURE = (
        "It accepts a request with a source's headers, but without the signature.",
        "Refuse what has no signature, before anything else.",
    )
    ACCEPTS_UNSIGNED = (
        "It accepts a request without any header of either source.",
        "Refuse what has no signature, before anything else.",
    )
    ACCEPTS_EMPTY_KORE_SIGNATURE = (
        "It accepts an empty Kore-Signature, though the account has a webhook secret.",
        "Refuse an empty Kore-Signature, and don't skip the check where the header is falsy.",
    )
    ACCEPTS_BOTH_FAMILIES = (
        "It accepts a request with the headers of both sources at once.",
        "A sender uses one family of headers: refuse what has both.",
    )
    ACCEPTS_AUTH_TOKEN_FOR_KORE = (
        "It accepts a Kore-Signature that is made with Twilio's Auth Token.",
        "Check Kore-Signature with the webhook secret alone, never with the Auth Token.",
    )
    ACCEPTS_TWILIO_SIGNATURE_FOR_KORE = (
        "It accepts Twilio's signature and token where they stand in KORE's headers.",
        "Check what stands in Kore-Signature by KORE's scheme alone.",
    )
    ACCEPTS_MALFORMED_SIGNATURE = (
        "It accepts a signature that is no signature at all.",
        "Refuse a signature of another form: 28 characters of Base64 for Twilio's, 64 hex digits in"
        " lower case for KORE's.",
    )
    ACCEPTS_UPPERCASE_HASH = (
        "It accepts a Kore-Signature in upper case, which KORE never sends.",
        "Compare the signature as it came; don't change its letter case.",
    )
    ACCEPTS_HMAC = (
        "It accepts an HMAC in Kore-Signature, where KORE sends a plain SHA-256.",
        "Take the SHA-256 of secret + method + URL without query + body; accept nothing else.",
    )
    CRASHES_ON_BAD_SIGNATURE = (
        "It answers a forgery with a 5xx, so that senders try again.",
        "Answer 403, or 400 where a header is missing or malformed.",
    )
    ACTS_ON_FORGERIES = (
        "A forgery has an effect, whatever it is answered with.",
        "Check the signature before anything is done.",
    )

    # Callbacks that come more than once.
    NOT_IDEMPOTENT_IN_SERIES = (
        "A callback that comes again, with the same token, has its effect again.",
        "Keep the idempotency tokens of what is done, and answer a repeat with a 2xx.",
    )
    NOT_IDEMPOTENT_AT_ONCE = (
        "A callback that comes twice at the same moment has its effect twice.",
        "Claim the token in one atomic step before the work: a unique key, or SET NX.",
    )
    NOT_IDEMPOTENT_AFTER_TIMEOUT = (
        "A callback whose answer was not awaited has its effect again when it is sent again.",
        "Keep the token with the work itself, not once the answer has left.",
    )
    NOT_IDEMPOTENT_AFTER_DROP = (
        "A callback whose answer was cut off has its effect again when it is sent again.",
        "Keep the token with the work itself, not once the answer has left.",
    )
    FORGETS_ON_RESTART = (
        "After a restart it does again what it has done before.",
        "Keep tokens where they outlive the process: a database, or Redis with persistence.",
    )
    LOSES_CALLBACK = (
        "It answers a callback with a 2xx in the end, and the callback never has an effect.",
        "Take a token for done only when the work is; give it back where the work is cut off.",
    )
    REFUSES_REPEAT = (
        "It refuses a callback that comes again, so that the sender takes it for undelivered.",
        "Answer a repeat with a 2xx; while the first is still being worked on, with a 503.",
    )
    REFUSES_SWAPPED_ORDER = (
        "It refuses a callback because a later one has come first.",
        "Answer a genuine callback with a 2xx in whatever order they come.",
    )
    MIXES_TOKENS = (
        "It takes a token of one source for the same token of the other.",
        "Keep the tokens of the two sources apart: the source is part of the key.",
    )
    DROPS_EQUAL_EVENTS = (
        "It takes a new callback for an earlier one that has told the same.",
        "Go by the idempotency token: two callbacks that tell the same are two.",
    )

    def __init__(self, what: str, mend: str) -> None:
        self.what = what
        self.mend = mend

    @property
    def label(self) -> str:
        """The name in reports and docs, like `refuses-get`; scripts rely on it, so it stays."""
        return self.name.lower().replace("_", "-")
