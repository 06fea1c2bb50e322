"""The faults that a receiver can have: a stable name, a description and a fix for each."""

from enum import Enum


class ReceiverFaultKind(Enum):
    """A fault of a receiver: `what` describes its behaviour, `mend` says how to fix it."""

    # Reports list faults in this order, so those that explain many others come first.
    ANSWERS_200_TO_EVERYTHING = (
        "It answers every request by POST, by GET or by both with a 2xx, whether the signature is"
        " right or not.",
        "Check the signature first; if it is wrong, answer 403 and do nothing else.",
    )
    IGNORES_TWILIO_SIGNATURE = (
        "It accepts every request with Twilio's headers, without checking X-Twilio-Signature.",
        "Check X-Twilio-Signature with the Auth Token before you do or answer anything.",
    )
    IGNORES_KORE_SIGNATURE = (
        "It accepts every request with KORE's headers, without checking Kore-Signature.",
        "Check Kore-Signature with the webhook secret before you do or answer anything.",
    )
    IGNORES_SIGNATURE = (
        "It accepts every request with the headers of a source of the settings, without checking"
        " its signature.",
        "Check the source's signature before you do or answer anything.",
    )
    REFUSES_TWILIO = (
        "It accepts no genuine callback from Twilio's infrastructure.",
        "Check that it has this Auth Token, and computes the signature from the URL that is"
        " configured at the sender: scheme, host, port, path and query, even if proxies change it.",
    )
    REFUSES_KORE = (
        "It accepts no genuine callback from KORE's infrastructure.",
        "Check Kore-Signature: the SHA-256, in hex, of secret + method + URL without query + body;"
        " and don't ask for X-Twilio-Signature, which KORE doesn't send.",
    )
    REFUSES_SOURCE = (
        "It accepts no genuine callback from a source of the settings.",
        "Check that it has this secret, and computes the signature by the source's scheme.",
    )
    DOES_NOT_ANSWER = (
        "It gives no answer within the time-out.",
        "Answer as soon as the callback is checked and stored; do long work afterwards.",
    )
    TOO_SLOW = (
        "It takes too long to answer: the sender may time out first, and send the callback again.",
        "Answer as soon as the callback is checked and stored; do long work afterwards.",
    )
    TOO_SLOW_FOR_STREAMS = (
        "It takes longer than 5 s to answer a request of an event stream: the sender gives up, and"
        " sends the batch again.",
        "Store the events and answer; do long work afterwards.",
    )

    # Faults with genuine callbacks, which a receiver should accept.
    REFUSES_POST = (
        "It accepts no genuine callback by POST, but accepts those by GET.",
        "Accept POST at this URL; for Twilio's signature, append the form's parameters, sorted.",
    )
    REFUSES_GET = (
        "It accepts no genuine callback by GET, but accepts those by POST.",
        "Accept GET at this URL. The parameters are in the query, which Twilio signs and KORE"
        " doesn't; there is no body.",
    )
    REFUSES_PAYLOAD = (
        "It refuses genuine callbacks about some kinds of events.",
        "Answer every genuine callback with a 2xx, even if you don't use its event.",
    )
    REFUSES_TEST_EVENT = (
        "It refuses the test event of KORE's portal, which is JSON.",
        "Compute Kore-Signature from the raw bytes of the body, whatever its content type.",
    )
    REFUSES_QUERY = (
        "It computes X-Twilio-Signature from the URL without its query.",
        "Include the query exactly as received: Twilio signs the URL with it, KORE without it.",
    )
    REFUSES_EVENTS = (
        "It refuses signed Event Streams, which are JSON, though it accepts forged ones.",
        "Check the signature of JSON by its own rule: KORE signs the raw body; Twilio signs the URL"
        " with bodySHA256, and bodySHA256 is the SHA-256 of the raw body, in hex.",
    )
    REFUSES_STREAM_TEST_EVENT = (
        "It refuses the test event of an event stream, which has no event_sid and no SIM.",
        "Accept test events (com.twilio.eventstreams.test-event, com.kore.eventstreams.test.event),"
        " and do nothing with them; their data has only a test_id.",
    )
    REFUSES_BATCH = (
        "It refuses a request of an event stream with several events.",
        "Read the body as an array, process each of its events, and allow bodies of 64 KiB.",
    )
    REFUSES_NULL_LOCATION = (
        "It refuses an event whose location is null.",
        "Take null and missing fields of an event's data for unknown: the visited network may not"
        " pass on location or imei.",
    )
    REFUSES_NON_ASCII = (
        "It refuses genuine callbacks with values that are not ASCII.",
        "Decode the form as UTF-8 for Twilio's signature; use the raw body for KORE's, and for"
        " JSON.",
    )
    REFUSES_WHITE_SPACE = (
        "It refuses genuine callbacks with spaces, tabs or line breaks in a value.",
        "Don't trim values before the signature is checked.",
    )
    REFUSES_EMPTY_VALUES = (
        "It refuses genuine callbacks with a parameter that has no value.",
        "Keep empty values when you parse the form; in Python, parse_qsl(keep_blank_values=True).",
    )
    REFUSES_REPEATED_PARAMETERS = (
        "It refuses genuine callbacks in which a parameter has several values.",
        "Keep all values of a parameter; Twilio signs each of them, sorted.",
    )
    REFUSES_LONG_VALUES = (
        "It refuses genuine callbacks with a long value.",
        "Allow bodies of 64 KiB and request lines of 8 KiB, also in proxies.",
    )
    CRASHES_ON_GOOD_CALLBACK = (
        "It answers a genuine callback with a 5xx.",
        "Look into its log; answer a genuine callback with a 2xx.",
    )
    REDIRECTS = (
        "It answers with a redirect, which no sender follows.",
        "Answer at the URL itself: check its trailing slash and its scheme, and that no login page"
        " is in front of it.",
    )
    BREAKS_OFF = (
        "It refuses or breaks the connection, or its answer isn't valid HTTP.",
        "Look into its log, and that of the proxies in front of it.",
    )

    # Faults with forgeries, which a receiver should refuse.
    ACCEPTS_WRONG_SECRET = (
        "It accepts requests that are signed with another secret.",
        "Compute the signature with your own secret, and compare the two in constant time.",
    )
    ACCEPTS_CHANGED_BODY = (
        "It accepts a request whose parameters were changed after it was signed.",
        "Compute the signature from the whole received body, or for a GET from the whole query.",
    )
    ACCEPTS_CHANGED_PATH = (
        "It accepts a request that was signed for another path.",
        "Compute the signature from the URL that is configured at the sender, with its path.",
    )
    ACCEPTS_CHANGED_QUERY = (
        "It accepts a request of Twilio's that was signed for another query.",
        "Compute X-Twilio-Signature from the whole URL, including the query.",
    )
    ACCEPTS_MISSING_SIGNATURE = (
        "It accepts a request with a source's headers, but without the signature.",
        "Refuse requests without a signature, before anything else.",
    )
    ACCEPTS_FORGED_EVENTS = (
        "It accepts Event Streams, which are JSON, with a wrong signature or none, or with another"
        " body than the signed one.",
        "Check the signature of JSON, too: KORE signs the raw body; Twilio signs the URL with"
        " bodySHA256, which must be the SHA-256 of the raw body, in hex.",
    )
    IGNORES_BODY_HASH = (
        "It accepts an event stream of Twilio's with another body than the signed one: it checks"
        " the signature of the URL, but not the bodySHA256 in the URL.",
        "Compare bodySHA256 with the SHA-256 of the raw body, in hex, before you parse the body.",
    )
    ACCEPTS_UNSIGNED = (
        "It accepts a request without any header of either source.",
        "Refuse requests without a signature, before anything else.",
    )
    ACCEPTS_EMPTY_KORE_SIGNATURE = (
        "It accepts an empty Kore-Signature, though the account has a webhook secret.",
        "Refuse an empty Kore-Signature; don't skip the check if the header is empty.",
    )
    ACCEPTS_BOTH_FAMILIES = (
        "It accepts a request with the headers of both sources at once.",
        "Refuse requests with the headers of both sources: a sender uses only one family.",
    )
    ACCEPTS_AUTH_TOKEN_FOR_KORE = (
        "It accepts a Kore-Signature that is made with Twilio's Auth Token.",
        "Check Kore-Signature with the webhook secret alone, never with the Auth Token.",
    )
    ACCEPTS_TWILIO_SIGNATURE_FOR_KORE = (
        "It accepts Twilio's signature and token in KORE's headers.",
        "Check the value of Kore-Signature by KORE's scheme only.",
    )
    ACCEPTS_MALFORMED_SIGNATURE = (
        "It accepts a signature that isn't in the right format.",
        "Refuse a signature in any other format than 28 characters of Base64 (Twilio's) or 64 hex"
        " digits in lower case (KORE's).",
    )
    ACCEPTS_UPPERCASE_HASH = (
        "It accepts a Kore-Signature in upper case, which KORE never sends.",
        "Compare the signature exactly as received; don't change its letter case.",
    )
    ACCEPTS_OLD_TIMESTAMP = (
        "It accepts a request that was signed an hour ago.",
        "Refuse requests whose signed timestamp is more than five minutes old.",
    )
    ACCEPTS_HMAC = (
        "It accepts an HMAC in Kore-Signature, but KORE sends a plain SHA-256.",
        "Compute the SHA-256 of secret + method + URL without query + body; accept nothing else.",
    )
    CRASHES_ON_BAD_SIGNATURE = (
        "It answers a forgery with a 5xx, which makes senders retry.",
        "Answer 403, or 400 if a header is missing or malformed.",
    )
    ACTS_ON_FORGERIES = (
        "A request that is certainly forged has an effect, even if it is refused.",
        "Check the signature before you do anything.",
    )

    # Faults with callbacks that come more than once.
    NOT_IDEMPOTENT_IN_SERIES = (
        "A callback that is sent again, with the same token, has its effect again.",
        "Store the idempotency tokens of processed callbacks, and answer a repeat with a 2xx.",
    )
    NOT_IDEMPOTENT_AT_ONCE = (
        "A callback that comes twice at the same time has its effect twice.",
        "Claim the token in one atomic step before the work: a unique key, or Redis's SET NX.",
    )
    NOT_IDEMPOTENT_AFTER_TIMEOUT = (
        "If the sender hangs up before the answer and sends a callback again, it has two effects.",
        "Store the token together with the work, not after the answer is sent.",
    )
    NOT_IDEMPOTENT_AFTER_DROP = (
        "If the answer is cut off and the sender sends a callback again, it has two effects.",
        "Store the token together with the work, not after the answer is sent.",
    )
    FORGETS_ON_RESTART = (
        "After a restart, it processes callbacks again that it has processed before.",
        "Store tokens where they outlive the process: a database, or Redis with persistence.",
    )
    LOSES_CALLBACK = (
        "It answers a callback with a 2xx in the end, but the callback never has an effect.",
        "Mark a token as done only when the work is done; release it if the work is cut off.",
    )
    REMEMBERS_FORGED_TOKENS = (
        "It remembers the token of a forgery, and then loses the genuine callback with this token.",
        "Check the signature first, and store or claim the token only of a genuine callback.",
    )
    REFUSES_REPEAT = (
        "It refuses a callback that is sent again, so the sender considers it undelivered.",
        "Answer a repeat with a 2xx, or with a 503 while the first one is still being processed.",
    )
    REFUSES_SWAPPED_ORDER = (
        "It refuses a callback because a later one has come first.",
        "Answer every genuine callback with a 2xx, in whatever order they come.",
    )
    MIXES_TOKENS = (
        "It takes two callbacks for one because they have the same token from different sources.",
        "Keep the tokens of the two sources apart: make the source a part of the key.",
    )
    DROPS_EQUAL_EVENTS = (
        "It takes a new callback for an earlier one with the same payload.",
        "Compare idempotency tokens: two callbacks with the same payload are still two callbacks.",
    )
    LOSES_EVENTS = (
        "It answers a batch of an event stream with a 2xx, but does not process all its events.",
        "Process each event of the array, not only the first; answer a 2xx only when all are done.",
    )
    REPEATS_BATCH = (
        "A batch of an event stream that is sent again has its effects again.",
        "Store the ids of processed events, each for itself, and skip events that are stored.",
    )
    REPEATS_OVERLAP = (
        "An event that comes again in another batch has its effect again.",
        "Compare the ids of events, not the token of the request, which stands for a whole batch.",
    )
    REPEATS_EVENT_OF_BOTH = (
        "An event that comes from both Twilio and KORE has its effect twice.",
        "Compare data.event_sid, which is the same from both sources.",
    )

    def __init__(self, what: str, mend: str) -> None:
        self.what = what
        self.mend = mend

    @property
    def label(self) -> str:
        """The name of the fault in reports and docs, like `refuses-get`; it never changes."""
        return self.name.lower().replace("_", "-")
