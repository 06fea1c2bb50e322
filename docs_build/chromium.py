"""Drives a real Chromium by its DevTools protocol, over a pair of pipes."""

import fcntl
import json
import os
import select
import shutil
import signal
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

PROGRAM: Final = shutil.which("chromium") or shutil.which("chromium-browser")
_PATIENCE: Final = 30.0


def _pipe() -> tuple[int, int]:
    """Return a pipe of which neither end has a number that Chromium expects other ends at."""
    ends = os.pipe()
    read, write = (fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends)
    for end in ends:
        os.close(end)
    return read, write


class PageGoneError(RuntimeError):
    """A page was left before it had answered."""


class Browser:
    """A browser with one page; it can reach nothing but this machine."""

    def __init__(self, profile: Path) -> None:
        to_browser, self._out = _pipe()
        self._in, from_browser = _pipe()
        flags = (
            "--headless=new",
            "--no-sandbox",  # which a container's root can't have
            "--disable-gpu",
            "--hide-scrollbars",
            "--remote-debugging-pipe",
            "--blink-settings=primaryHoverType=2,availableHoverTypes=2",  # there is a mouse
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
            f"--user-data-dir={profile}",
            "about:blank",
        )
        # Chromium reads from descriptor 3 and writes to 4.
        descriptors = [
            (os.POSIX_SPAWN_DUP2, to_browser, 3),
            (os.POSIX_SPAWN_DUP2, from_browser, 4),
            (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
        ]
        command = (str(PROGRAM), *flags)
        self._pid = os.posix_spawn(command[0], command, os.environ, file_actions=descriptors)
        os.close(to_browser)
        os.close(from_browser)
        self._unread = b""
        self._calls = 0
        self.requests: list[str] = []
        """The URLs that pages have asked for, since somebody emptied this list."""
        self.errors: list[str] = []
        """What pages have written to the console as an error, likewise."""
        self._loaded = False
        self._session: str | None = None
        targets = self.call("Target.getTargets")["targetInfos"]
        page = next(target["targetId"] for target in targets if target["type"] == "page")
        attached = self.call("Target.attachToTarget", targetId=page, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def open(self, url: str) -> None:
        """Load a page, and wait until it has loaded all that it wants."""
        self._loaded = False
        self.call("Page.navigate", url=url)
        while not self._loaded:
            self._read()

    def run(self, script: str) -> Any:
        """Return the value of a script's last expression, or that of its promise.

        Raises RuntimeError if the script fails.
        """
        answer = self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{script}: {answer}")
        return answer["result"].get("value")

    def prefer(self, scheme: str) -> None:
        """Have pages shown in light or dark colours, as the system of a reader asks."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", features=features)

    def resize(self, width: int, height: int = 800) -> None:
        """Show pages in a window of this size, in pixels."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Return the result of a method of the protocol.

        Raises RuntimeError if it fails, and PageGoneError if the page was left meanwhile.
        """
        self._calls += 1
        message: dict[str, Any] = {"id": self._calls, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._calls:
                if "navigated" in answer.get("error", {}).get("message", ""):
                    raise PageGoneError(f"{method}: {answer}")
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer}")
                return answer["result"]

    def _read(self) -> dict[str, Any]:
        """Return the next message, and note what it reports."""
        end = time.monotonic() + _PATIENCE
        while b"\0" not in self._unread:
            ready, _, _ = select.select([self._in], [], [], end - time.monotonic())
            if not ready:
                raise TimeoutError("the browser says nothing")
            piece = os.read(self._in, 1 << 20)
            if not piece:
                raise RuntimeError("the browser has ended")
            self._unread += piece
        text, _, self._unread = self._unread.partition(b"\0")
        message = json.loads(text)
        told = message.get("params", {})
        match message.get("method"):
            case "Page.loadEventFired":
                self._loaded = True
            case "Network.requestWillBeSent":
                self.requests.append(told["request"]["url"])
            case "Runtime.exceptionThrown":
                self.errors.append(str(told["exceptionDetails"]))
            case "Log.entryAdded" if told["entry"]["level"] == "error":
                self.errors.append(f"{told['entry']['text']} {told['entry'].get('url', '')}")
            case _:
                pass
        return message

    def close(self) -> None:
        """End the browser."""
        os.close(self._out)
        os.close(self._in)
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)


@contextmanager
def a_browser(profile: Path) -> Generator[Browser]:
    """Start a browser that keeps its data in this folder, and end it."""
    browser = Browser(profile)
    try:
        yield browser
    finally:
        browser.close()
