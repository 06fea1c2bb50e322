"""Recognises the callbacks of other services: of sign-in by OAuth, of payments, of messages.

Only a SIM platform's callbacks are moved. What surrounds a URL shows whose callback it is, in this
order: the words of its name; the parameters beside it, and the API or library that the call
around it is for; the path of the URL; and the libraries that the file uses.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePath
from typing import Final, Self

from ringback.migration.url_sources.text_formats.callback_names import words_of
from ringback.migration.url_sources.url_matches import NOT_WHOLE, UrlInText

_OAUTH_WORDS_TEXT: Final = """
    oauth oauth2 oidc openid saml sso auth login logout signin signup signout passport
    nextauth authjs auth0 okta cognito keycloak azuread
"""
_OAUTH_WORDS: Final = frozenset(_OAUTH_WORDS_TEXT.split())
_SIGN_IN_TEXT: Final = """
    GitHub GitLab Bitbucket Google Facebook Twitter LinkedIn Instagram Discord Slack Spotify
    Twitch Dropbox Salesforce HubSpot Shopify Atlassian Jira Trello Strava Fitbit DocuSign
    Xero QuickBooks Intuit TikTok Kakao Naver WeChat Weixin Microsoft YouTube Telegram
    WhatsApp Zoho Figma Reddit Steam Yahoo Amazon
"""
_PAID_TEXT: Final = """
    Stripe PayPal Paystack Flutterwave Razorpay Mpesa Momo Daraja Pesapal Vnpay Zalopay
    Khalti Esewa Phonepe Paytm Cashfree Iyzico Midtrans Xendit Mollie Adyen Braintree Klarna
    Plaid Alipay Tilopay Opay Monnify Coinbase Coinpayments Coingate Instamojo Payu Payfast
    Mailgun SendGrid Mailchimp Replicate HeyGen Cloudinary Transloadit Vonage Nexmo Plivo
    MessageBird Sinch Infobip Telnyx AssemblyAI Deepgram
"""
_BRANDS: Final = {word.lower(): word for word in (*_SIGN_IN_TEXT.split(), *_PAID_TEXT.split())}
_PAYMENTS_TEXT: Final = "payment payments checkout billing invoice payout stk"
_TWILIO_TEXT: Final = "assignment deauthorize recording transcription moderation workspace twiml"
_TWILIO_PRODUCTS: Final = "another product of Twilio's"
_SERVICES: Final[Mapping[str, str]] = {
    **_BRANDS,
    **dict.fromkeys(_OAUTH_WORDS, "OAuth"),
    **dict.fromkeys(_PAYMENTS_TEXT.split(), "payments"),
    **dict.fromkeys(_TWILIO_TEXT.split(), _TWILIO_PRODUCTS),
}
"""The services that a word in the name of a callback URL stands for."""
_OF_FILES: Final[Mapping[str, str]] = {
    word: service for word, service in _SERVICES.items() if service not in _SIGN_IN_TEXT.split()
}
"""The same for the name of a file; a folder like `.github` says nothing about its callbacks."""
_OURS: Final = frozenset(
    ["sim", "sims", "supersim", "kore", "wireless", "iot", "ringback", "fleet", "fleets", "esim"]
)
_OUR_TEXT: Final = re.compile(
    r"twilio|\bkore|korewireless|super_?-?sim|supersim|sim_?sid|\bsims?\b|smscommands|ipcommands"
    r"|sms_commands|ip_commands|ringback|wireless",
    re.IGNORECASE,
)
_SIGN_IN: Final = re.compile(
    r"""\b(?:(?:o?auth2?_?)?client_?-?(?:id|secret)|consumer_?(?:key|secret)|scopes?|response_?type
    |grant_?type|redirect_?uris?|authori[sz]ation_?url|token_?url|user_?profile_?url|issuer
    |identity_?provider|entry_?point|logout_?urls?|allowed_?oauth_?\w+)\b["'\]]{0,2}\s*(?:=>|[:=(,])
    |(?:sign-?in|log-?in|log-?out|/auth)[\w/-]*\?
    |\b(?:signIn|signOut|useSession|getProviders|passport\.use|new\s+\w*Strategy|OAuth2?\w*|oauth\w*
    |authorize\w*|get_authorization_url|omniauth|aws_cognito\w*|auth0\w*)\b""",
    re.VERBOSE | re.IGNORECASE,
)
_PAYMENT: Final = re.compile(
    r"""\b(?:amount|currency|merchant_?(?:id|key|code|account)|business_?short_?code|tx_?ref
    |order_?id|invoice_?id|pass_?key|party_?a|account_?reference)\b["'\]]{0,2}\s*(?:=>|[:=,])""",
    re.VERBOSE | re.IGNORECASE,
)
_TWILIO: Final = re.compile(
    r"""\b(?:messages|calls|verifications|conferences|participants|recordings|faxes|executions)\b
    \s*(?:\([^()]*\))?\s*(?:\.|->)\s*create\s*\(
    |\bstatus_?callback_?event|\b(?:taskrouter|task_?queues?|workspaces|workflows|twiml)\b
    |\b(?:proxy|taskrouter|api|video|chat|studio|verify|voice|messaging|conversations|trusthub
    |flex-api|numbers|events|sync|lookups|content|notify|insights)\.twilio\.com
    |\b(?:proxy|video|chat|studio|verify|messaging|conversations)\s*(?:\.|->)
    (?:v\d|services|rooms|flows)\b
    |usage_?triggers?\b|usage\W{1,4}triggers?\b|\btrigger_?value|\busage_?category|<Response\b""",
    re.VERBOSE | re.IGNORECASE,
)
"""Requests to Twilio's other products, whose callbacks KORE doesn't send."""
_SIM_API: Final = re.compile(
    r"super_?-?sim|wireless|sms_?commands|ip_?commands|\bsims?\b|\bkore", re.IGNORECASE
)
_SIM_REQUEST: Final = re.compile(
    r"\b(?:super_?sim|wireless)\b\s*(?:\(\))?\s*(?:\.|->)", re.IGNORECASE
)
"""A request to one of the SIM APIs by a client library."""
_PATH: Final = re.compile(
    r"https?:[^/]*//[^/]+.*/(?:oauth2?|oidc|saml2?|sso|auth|signin|sign-in|login|signin-\w+|mpesa|stripe"
    r"|paypal|payments?|checkout|github|google|facebook|slack|discord)(?:[/_-]|$)",
    re.IGNORECASE,
)
_OUR_HOSTS: Final = re.compile(
    r"(?:supersim|wireless|programmable-wireless)\.twilio\.com|localhost|127\.0\.0\.1|[\w-]+"
    r"|(?:.*\.)?(?:korewireless\.com|koreone\.\w+|kore\.\w+)",
    re.IGNORECASE,
)
_LIBRARIES: Final = re.compile(
    rf"""(?:^[ \t]*(?:import|from|use|using|gem|@import|\#include)\b|\b(?:require|import)\s*\()
    [^\n]{{0,60}}?(?<![A-Za-z])
    (?P<name>passport[\w-]*|next-auth|@auth|authlib|\w*oauthlib|omniauth[\w-]*|socialite|allauth
    |slack_\w+|octokit|openid-client|simple-oauth2|oauth2|goth|better-auth|safaricom|daraja
    |(?:{"|".join(_PAID_TEXT.split())})[\w-]*)\b""",
    re.VERBOSE | re.IGNORECASE | re.MULTILINE,
)
_REQUEST: Final = re.compile(
    r"""\b(?:post|put|patch|fetch|request|axios|urlopen|curl_init|open)(?:\.\w+)?
    (?:\s*\([^"'`()]{0,60}|\s+)["'`](?P<url>https?://[\w.-]+)""",
    re.VERBOSE | re.IGNORECASE,
)
_CURL: Final = re.compile(r"""\bcurl\b|(?<=[\s"'])(?P<url>https?://[\w.-]+)""", re.IGNORECASE)
_BRACKET: Final = re.compile(r"[()\[\]{}]")
_PARTNER: Final = {")": "(", "]": "[", "}": "{"}
_BODY: Final = re.compile(
    r"(?:\)|=>|\b(?:do|else|try|init)|\b(?:class|struct|function|interface)\b[\w\s:,<>]*"
    r"|->[\s\w]*)\s*\Z"
)
"""What stands before the brace that begins the body of a function or a class."""
_WORD_BEFORE: Final = re.compile(r"[^\s\"'`]{0,200}\Z")
_LEVELS: Final = 3
_FARTHEST: Final = 1500
_LONGEST_COMMAND: Final = 40
_NEIGHBOURS: Final = 3
"""The number of lines before and after a line that count as beside it."""


@dataclass(frozen=True)
class Surroundings:
    """The text around each callback URL in a file."""

    text: str
    file: str
    brackets: Mapping[int, Sequence[tuple[int, int]]]
    """For each URL, by its position, where the brackets around it open and close."""

    @classmethod
    def of(cls, matches: Iterable[UrlInText], text: str, file: str) -> Self:
        """Find the brackets around each URL in a text."""
        waiting = sorted((match.start for match in matches), reverse=True)
        stack, closes = list[tuple[int, str]](), dict[int, int]()
        around = dict[int, list[int]]()
        for bracket in _BRACKET.finditer(text):
            while waiting and waiting[-1] < bracket.start():
                around[waiting.pop()] = [at for at, _ in stack[-_LEVELS:]]
            if bracket[0] not in _PARTNER:
                stack.append((bracket.start(), bracket[0]))
            elif stack and stack[-1][1] == _PARTNER[bracket[0]]:
                closes[stack.pop()[0]] = bracket.start()
        found = {
            start: [(at, closes[at]) for at in opened if at in closes]
            for start, opened in around.items()
        }
        return cls(text, file, found)

    @cached_property
    def is_of_twilio(self) -> bool:
        """True if the file uses Twilio's other products, and not those with SIMs."""
        is_twilio = "twilio" in self.text.lower() and _TWILIO.search(self.text) is not None
        return is_twilio and not _SIM_API.search(self.text)

    @cached_property
    def is_of_sims(self) -> bool:
        """True if the file names Twilio, KORE or SIMs."""
        return _OUR_TEXT.search(self.text) is not None

    @cached_property
    def service_of_file(self) -> str | None:
        """The service that the file seems to be for, and the sign of it."""
        if sign := _LIBRARIES.search(self.text):
            return f"{sign['name']}: the file uses this library"
        if host := next(_other_hosts(self.text), None):
            return f"{host}: the file calls this API"
        words = [word for part in PurePath(self.file).parts for word in words_of(part)]
        service = next((_OF_FILES[word] for word in words if word in _OF_FILES), None)
        return f"{service}: the name of the file" if service else None

    def of_call(self, match: UrlInText) -> str:
        """Return the call or the object around a URL, without the URL; empty if there is none.

        That is what the innermost brackets contain, and the calls of which it is an argument.
        """
        word = _WORD_BEFORE.search(self.text, max(0, match.start - 200), match.start)
        start, end, inner = word.start() if word else match.start, match.end, ""
        for opened, closed in reversed(self.brackets.get(match.start, ())):
            bracket = self.text[opened]
            line = self.text.rfind("\n", 0, opened) + 1
            is_body = bracket == "{" and _BODY.search(self.text, max(0, opened - 100), opened)
            is_too_far = match.start - opened > _FARTHEST or closed - match.end > _FARTHEST
            if is_too_far or is_body or (inner in ("{", "(") and bracket != "("):
                break
            start, end, inner = max(line, opened - 200), closed, bracket
        return f"{self.text[start : match.start]} {self.text[match.end : end]}"

    def beside(self, match: UrlInText, lines: int) -> str:
        """Return this number of lines before and after that of a URL, and its own, without the URL.

        All lines of a command that goes on over several lines count.
        """
        start, end = match.start, match.end
        for number in range(_LONGEST_COMMAND):
            line = self.text.rfind("\n", 0, start) + 1
            start = line
            if not line or (number >= lines and not self.text.endswith("\\\n", 0, line)):
                break
            start = line - 1
        for number in range(_LONGEST_COMMAND):
            line = self.text.find("\n", end)
            end = len(self.text) if line < 0 else line
            if line < 0 or (number >= lines and self.text[line - 1] != "\\"):
                break
            end = line + 1
        return f"{self.text[start : match.start]} {self.text[match.end : end]}"


def service_of(match: UrlInText, around: Surroundings) -> str | None:
    """Return the service that a callback URL belongs to, and the sign of it; None for a SIM's.

    For example `GitHub: its name` or `OAuth: client_id beside it`.
    """
    if "cbs=" in match.url:
        return None  # only a SIM platform's callbacks have this
    words = words_of(match.key) + (words_of(match.raw) if match.fixed == NOT_WHOLE else ())
    for word in (*words, "".join(words[:2])):
        if service := _SERVICES.get(word):
            return f"{service}: its name"
    if not _OURS.isdisjoint(words):
        return None
    call = around.of_call(match)
    if _TWILIO.search(call) or around.is_of_twilio:
        return f"{_TWILIO_PRODUCTS}: the request that it is a parameter of"
    if _OUR_TEXT.search(call):
        return None
    if sign := _SIGN_IN.search(call) or _same_prefix(match, around):
        return f"OAuth: {_plain(sign[0])} beside it"
    if sign := _PAYMENT.search(call):
        return f"payments: {_plain(sign[0])} beside it"
    if host := next(_other_hosts(call), None) or _host_of_curl(match, around.beside(match, 0)):
        return f"{host}: the request that it is a parameter of"
    if _PATH.match(match.url):
        return "OAuth or payments: its path"
    return None if around.is_of_sims else around.service_of_file


def _same_prefix(match: UrlInText, around: Surroundings) -> re.Match[str] | None:
    """Return a sign of sign-in in the lines beside a URL, if its name begins as the URL's does."""
    if around.brackets.get(match.start):
        return None
    prefix = re.split(r"callback", match.key, maxsplit=1, flags=re.IGNORECASE)[0].strip("._-")
    beside = around.beside(match, _NEIGHBOURS)
    if _SIM_REQUEST.search(beside):  # the URL is in a variable, which is likely for that request
        return None
    for sign in _SIGN_IN.finditer(beside):
        before = beside[max(0, sign.start() - 40) : sign.start()]
        own = re.search(r"[\w.-]*\Z", before)
        if own is not None and own[0].strip("._-").lower() == prefix.lower():
            return sign
    return None


def _plain(sign: str) -> str:
    return sign.strip("\"'=:(,>] \n\t")


def _is_ours(url: str) -> bool:
    return _OUR_HOSTS.fullmatch(url.partition("//")[2]) is not None


def _other_hosts(text: str) -> Iterator[str]:
    """Yield the hosts of the APIs of somebody else that a text calls."""
    for request in _REQUEST.finditer(text):
        if not _is_ours(request["url"]):
            yield request["url"].partition("//")[2]


def _host_of_curl(match: UrlInText, beside: str) -> str | None:
    """Return the host of an API of somebody else that a curl command calls."""
    is_curl = False
    for found in _CURL.finditer(beside):
        is_curl = is_curl or not found["url"]
        url = found["url"]
        if is_curl and url and not match.url.startswith(url) and not _is_ours(url):
            return url.partition("//")[2]
    return None
