"""5,000 receivers behind one port, each with its own URL, its own secrets and its own memory."""

from base64 import b64encode
from collections import Counter, defaultdict
from enum import StrEnum
from itertools import count
from urllib.parse import parse_qs

from ringback.core.accounts.account import Account
from ringback.receiver import Callback, MemoryDedupe, Receiver
from ringback.receiver import ReceivedRequest as Request
from tests.receivers import HttpReceiver, ReceivedRequest, Reply, close_without_answer, status_reply

EVENT = "event-"
"""The prefix of the rehearsal's events, which distinguishes them from the events of a probe."""
_MARKS = (EVENT, b64encode(EVENT.encode()).decode())


class Kind(StrEnum):
    """How a receiver behaves."""

    BOTH = "accepts both sources"
    TWILIO = "knows nothing but Twilio"
    KORE = "knows nothing but KORE"
    FRAGILE = "accepts both, but for what it is sent by KORE in earnest"


class ManyReceivers(HttpReceiver):
    """Each path is a receiver of its own.

    Now and then it does the work, but closes the connection without an answer: the sender has to
    send the callback again, and the receiver has to recognise it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.kinds = dict[str, Kind]()
        """By path."""
        self.effects = defaultdict[str, Counter[str]](Counter)
        """How often each event had an effect, by path."""
        self.requests = Counter[str]()
        """How many callbacks arrived, by path, not counting those of a probe."""
        self.refused = set[str]()
        """The events that were rejected by the receiver's kind, or by its gateway."""
        self.repeats = 0
        self.is_gateway_down = False
        """True if a third of all receivers fail at real callbacks sent by KORE."""
        self._receivers = dict[str, Receiver]()
        self._turn = count(1)

    def open(self, path: str, kind: Kind, account: Account) -> None:
        """Add a receiver of an account's callbacks."""
        url = self.url(path)
        self.kinds[path] = kind
        self._receivers[path] = Receiver(
            url,
            twilio_auth_tokens=[] if kind is Kind.KORE else [account.auth_token],
            kore_secrets=[] if kind is Kind.TWILIO else [account.kore_secret],
            seen=MemoryDedupe(),
        )

    async def receive(self, request: ReceivedRequest) -> Reply:
        status, is_lost = self._receive(request.parsed())
        return close_without_answer if is_lost else status_reply(status)

    def _receive(self, request: Request) -> tuple[int, bool]:
        """Return the status of the answer, and True if the answer is to get lost."""
        path = request.target.partition("?")[0]
        parameters = parse_qs(request.body.decode())
        event = parameters.get("Payload", parameters.get("SimUniqueName", [""]))[0]
        is_ours = event.startswith(_MARKS)
        if is_ours:
            self.requests[path] += 1
        is_from_kore = bool(request.values("Kore-Signature"))
        if is_from_kore and is_ours and self._fails(path):
            self.refused.add(event)
            return 400, False
        worked = list[str]()

        def work(_: Callback) -> None:
            worked.append(event)

        status = self._receivers[path].handle(request, work).status
        if not is_ours:
            return status, False
        self.effects[path].update(worked)
        self.repeats += status == 200 and not worked
        return status, bool(worked) and next(self._turn) % 97 == 0

    def _fails(self, path: str) -> bool:
        is_behind_gateway = self.is_gateway_down and int(path.removeprefix("/r/")) % 3 == 0
        return is_behind_gateway or self.kinds[path] is Kind.FRAGILE
