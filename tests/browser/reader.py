"""A person in front of a browser: reads what is there, points, clicks and types."""

import json
import time
from contextlib import suppress
from typing import Any, Final

from docs_build.chromium import Browser, PageGoneError

_PATIENCE: Final = 40.0
_LOOK_AGAIN: Final = 0.03
_KEYS: Final = {"Tab": ("Tab", 9, ""), "Enter": ("Enter", 13, "\r"), "Space": (" ", 32, " ")}
_FIND: Final = """(([selector, words]) => {
  const all = [...document.querySelectorAll(selector)].filter(each => each.checkVisibility());
  const found = all.find(each => each.textContent.replace(/\\s+/g, " ").trim().startsWith(words));
  if (!found) return null;
  found.scrollIntoView({block: "center", behavior: "instant"});
  const box = found.getBoundingClientRect();
  return [box.x + box.width / 2, box.y + box.height / 2];
})"""


class PageReader:
    """A person who looks at one page after the other."""

    def __init__(self, browser: Browser, base: str) -> None:
        self.browser = browser
        self.base = base

    def open(self, path: str) -> None:
        """Type an address."""
        self.browser.open(path if path.startswith("http") else f"{self.base}{path}")

    @property
    def text(self) -> str:
        """All that can be read on the page, on one line."""
        words = self.browser.run("document.body ? document.body.innerText : ''")
        return " ".join(words.split())

    @property
    def address(self) -> str:
        """The path and query of the page."""
        return self.browser.run("location.pathname + location.search + location.hash")

    def waits_for(self, *words: str) -> str:
        """Wait, without a reload, until all of these words can be read; return the page's text."""
        end = time.monotonic() + _PATIENCE
        while True:
            text = self.text
            missing = [one for one in words if one not in text]
            if not missing:
                return text
            assert time.monotonic() < end, f"{missing} is not on {self.address}: {text}"
            time.sleep(_LOOK_AGAIN)

    def waits_until(self, script: str) -> Any:
        """Wait until a script's value is true, and return the value.

        A page that is left for another one while it is asked does not count.
        """
        end = time.monotonic() + _PATIENCE
        while True:
            with suppress(PageGoneError):
                if value := self.browser.run(script):
                    return value
            assert time.monotonic() < end, f"{script} is not so on {self.address}: {self.text}"
            time.sleep(_LOOK_AGAIN)

    def clicks(self, words: str, *, on: str = "a, button, summary, label") -> None:
        """Point at the first thing that begins with these words, and click."""
        place = self.waits_until(f"{_FIND}({json.dumps([on, words])})")
        for kind in ("mousePressed", "mouseReleased"):
            self.browser.call(
                "Input.dispatchMouseEvent",
                type=kind,
                x=place[0],
                y=place[1],
                button="left",
                clickCount=1,
            )

    def follows(self, words: str, *, on: str = "a, button, summary") -> str:
        """Click something that leads to another page, and return its text."""
        self.browser.run("window.isThePageBefore = true")
        self.clicks(words, on=on)
        self.waits_until("!window.isThePageBefore && document.readyState === 'complete'")
        return self.text

    def types(self, text: str, *, into: str) -> None:
        """Replace what is in a field with this text."""
        found = f"document.querySelector({json.dumps(into)})"
        self.browser.run(f"{found}.focus(); {found}.select?.()")
        self.browser.call("Input.insertText", text=text)

    def chooses(self, value: str, *, of: str) -> None:
        """Choose an option of a list."""
        found = f"document.querySelector({json.dumps(of)})"
        self.browser.run(f"{found}.value = {json.dumps(value)}")

    def presses(self, key: str) -> None:
        """Press and release a key."""
        name, code, text = _KEYS[key]
        for kind in ("keyDown", "keyUp"):
            self.browser.call(
                "Input.dispatchKeyEvent",
                type=kind,
                key=name,
                code=key,
                windowsVirtualKeyCode=code,
                text=text if kind == "keyDown" else "",
            )

    @property
    def focus(self) -> str:
        """The words of what has the focus."""
        return " ".join(self.browser.run("document.activeElement.textContent").split())

    def tabs_to(self, words: str, *, most: int = 80) -> None:
        """Press the tab key until the focus is on something that begins with these words."""
        for _ in range(most):
            if self.focus.startswith(words):
                return
            self.presses("Tab")
        raise AssertionError(f"{words!r} can't be reached by the keyboard")
