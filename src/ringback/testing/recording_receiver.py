"""A callback receiver for tests of applications that have no receiver of their own."""

from collections import deque
from typing import Final

from ringback.dev_receiver.responses import ListenerResponse
from ringback.dev_receiver.server import ListenServer
from ringback.receiver.verification import ReceivedRequest

_HOST: Final = "127.0.0.1"


class RecordingReceiver:
    """A receiver that records every request, and answers 200 unless `fail` is called."""

    def __init__(self) -> None:
        self.requests = list[ReceivedRequest]()
        """All requests received so far, oldest first."""
        self._failures = deque[int]()
        self._server: ListenServer | None = None
        self._port = 0

    def url(self, path: str = "/", *, cbs: str | None = None) -> str:
        """Return a callback URL of this receiver; `cbs` is a source for the URL's fragment."""
        fragment = "" if cbs is None else f"#cbs={cbs}"
        return f"http://{_HOST}:{self._port}{path}{fragment}"

    def fail(self, status: int = 503, *, times: int = 1) -> None:
        """Answer the next `times` requests with this status."""
        self._failures.extend([status] * times)

    def reset(self) -> None:
        """Forget all recorded requests, and all failures that `fail` has planned."""
        self.requests.clear()
        self._failures.clear()

    async def open(self) -> None:
        """Start to listen on a free port."""
        self._server = ListenServer(self._answer)
        self._port = await self._server.start(_HOST, 0)

    async def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            await self._server.stop()

    async def _answer(self, request: ReceivedRequest) -> ListenerResponse:
        self.requests.append(request)
        return ListenerResponse(self._failures.popleft() if self._failures else 200)
